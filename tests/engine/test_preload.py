"""A model is loaded ahead of its first request only if nothing has to be downloaded for it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.engine.hashing import HashCache
from bot.errors import JobFailed
from tests.engine.factories import (
    TINY,
    catalog,
    configs_only,
    digests,
    model,
    paint,
    request,
    save,
    single_file,
)
from tests.engine.hub_server import COMMIT, HubServer, contents, hub_server

SNAPSHOT = f"hub/models--org--model/snapshots/{COMMIT}"


@pytest.fixture
def hub(models_dir: Path) -> Iterator[HubServer]:
    with hub_server() as server:
        server.repositories["org/model"] = contents(models_dir / TINY)
        yield server


@pytest.fixture
def own(tmp_path: Path, hub: HubServer) -> Iterator[Engine]:
    engine = engine_with(tmp_path, hub)
    yield engine
    engine.close()


def engine_with(tmp_path: Path, hub: HubServer) -> Engine:
    hashes = tmp_path / "h.json"
    return Engine(models_dir=tmp_path / "models", hashes_file=hashes, hub_endpoint=hub.url)


def test_lent_weights_that_are_not_here_are_not_fetched(
    own: Engine, hub: HubServer, models_dir: Path, tmp_path: Path
) -> None:
    """Although the configuration of which they are is."""
    from safetensors.torch import load_file

    whole = load_file(single_file(models_dir / TINY, tmp_path / "whole.safetensors"))
    unet = {name: tensor for name, tensor in whole.items() if "diffusion_model" in name}
    file = save(tmp_path / "x.safetensors", unet)
    entry = model("x", str(file), config="org/model")
    configs_only(models_dir / TINY, tmp_path / "models" / SNAPSHOT)
    own.preload(entry, lambda: None)
    assert (hub.asked, own.loaded) == ([], None)

    painted = paint(own, request(model="x"), catalog([entry]))
    assert hub.fetched()
    hub.asked.clear()
    again = engine_with(tmp_path, hub)
    again.preload(entry, lambda: None)
    assert (hub.asked, again.loaded) == ([], "x")
    assert digests(paint(again, request(model="x"), catalog([entry]))) == digests(painted)
    again.close()


@pytest.mark.parametrize("fields", [{}, {"vae_path": "org/model"}])
def test_a_download_that_was_cut_short_is_not_completed(
    own: Engine, hub: HubServer, models_dir: Path, tmp_path: Path, fields: dict[str, str]
) -> None:
    configs_only(models_dir / TINY, tmp_path / "models" / SNAPSHOT)
    path = str(models_dir / TINY) if fields else "org/model"
    own.preload(model("x", path, **fields), lambda: None)
    assert (hub.asked, own.loaded) == ([], None)


@pytest.mark.parametrize("path", ["org/model", "checkpoints/gone.safetensors"])
def test_a_model_that_is_not_here_is_left_to_its_first_request(
    own: Engine, hub: HubServer, path: str
) -> None:
    own.preload(model("x", path), lambda: None)
    assert (hub.asked, own.loaded) == ([], None)


def test_a_configuration_that_is_not_here_is_not_fetched(
    own: Engine, hub: HubServer, models_dir: Path, tmp_path: Path
) -> None:
    file = single_file(models_dir / TINY, tmp_path / "x.safetensors")
    own.preload(model("x", str(file), config="org/model"), lambda: None)
    assert (hub.asked, own.loaded) == ([], None)


def test_a_file_that_is_broken_is_said(own: Engine, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"x")
    with pytest.raises(JobFailed) as failure:
        own.preload(model("x", str(file), config="org/model"), lambda: None)
    assert failure.value.code == "model.not_safetensors"


def test_the_first_request_hashes_nothing_any_more(
    own: Engine, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the model's own weights nor those that replace or complete them."""
    from safetensors.torch import load_file

    whole = load_file(single_file(models_dir / TINY, tmp_path / "whole.safetensors"))
    unet = {name: tensor for name, tensor in whole.items() if "diffusion_model" in name}
    file = save(tmp_path / "x.safetensors", unet)
    vae = str(models_dir / TINY / "vae")
    entry = model("x", str(file), config=str(models_dir / TINY), vae_path=vae)
    noted: list[str] = []
    note = HashCache._note

    def watched(self: HashCache, found: Mapping[str, str]) -> None:
        noted.extend(found)
        note(self, found)

    monkeypatch.setattr(HashCache, "_note", watched)
    own.preload(entry, lambda: None)
    assert own.loaded == "x"
    assert noted
    noted.clear()
    recipe = paint(own, request(model="x"), catalog([entry])).recipe
    assert recipe.vae
    assert recipe.parts
    assert noted == []
