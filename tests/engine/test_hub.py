"""Weights from the hub: what is downloaded, what is reported meanwhile, what happens offline."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.order import order_of
from bot.progress import Progress, Stage
from bot.request import EmbeddingUse
from catalog import AdapterEntry, EmbeddingEntry, Embeddings
from tests.engine.factories import (
    TINY,
    catalog,
    configs_only,
    digests,
    kohya_lora,
    model,
    paint,
    request,
    save,
    single_file,
)
from tests.engine.hub_server import COMMIT, HubServer, contents, hub_server

pytestmark = pytest.mark.long


REMOTE = model("remote", "org/model")
ASKED = request(model="remote")


@pytest.fixture
def hub(models_dir: Path) -> Iterator[HubServer]:
    """`org/model` is the tiny model among files that must not be downloaded."""
    with hub_server() as server:
        files = contents(models_dir / TINY)
        for name in ("unet/diffusion_pytorch_model.bin", "model.ckpt", "README.md", "x.onnx"):
            files[name] = b"never downloaded"
        files["unet/diffusion_pytorch_model.fp16.safetensors"] = b"never downloaded on the CPU"
        server.repositories["org/model"] = files
        yield server


@pytest.fixture
def own(tmp_path: Path, hub: HubServer) -> Iterator[Engine]:
    """An engine with an empty models folder and the hub above."""
    engine = engine_with(tmp_path, hub.url)
    yield engine
    engine.close()


def engine_with(tmp_path: Path, url: str, token: str | None = None) -> Engine:
    return Engine(
        models_dir=tmp_path / "models",
        hashes_file=tmp_path / "h.json",
        hub_endpoint=url,
        hub_token=token,
    )


def failure_of(engine: Engine, wanted: Any = ASKED, **adapters: Any) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        paint(engine, wanted, catalog([REMOTE], **adapters))
    return failure.value


def test_a_repository_is_downloaded_once_with_progress(
    own: Engine, hub: HubServer, engine: Engine, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    painted = paint(own, ASKED, catalog([REMOTE]), seen.append)
    assert digests(painted) == digests(paint(engine, request()))
    downloading = [p.fraction for p in seen if p.stage is Stage.DOWNLOADING]
    assert {p.subject for p in seen if p.stage is Stage.DOWNLOADING} == {"remote"}
    assert downloading == sorted(downloading)
    assert downloading[0] == 0.0
    assert downloading[-1] == 1.0
    assert max(n for n, p in enumerate(seen) if p.stage is Stage.DOWNLOADING) < min(
        n for n, p in enumerate(seen) if p.stage is Stage.PAINTING
    )
    files = hub.repositories["org/model"]
    wanted = {files[name] for name in contents_wanted(hub)}  # equal files are stored once
    assert {files[name] for name in hub.fetched()} == wanted
    before = len(hub.asked)
    paint(own, ASKED, catalog([REMOTE]))
    assert len(hub.asked) == before
    offline = engine_with(tmp_path, "http://127.0.0.1:9")
    assert digests(paint(offline, ASKED, catalog([REMOTE]))) == digests(painted)


def test_what_two_repositories_have_alike_is_downloaded_once(
    own: Engine, hub: HubServer, tmp_path: Path
) -> None:
    """As the text encoder and the VAE of a distilled model and of its base are."""
    paint(own, ASKED, catalog([REMOTE]))
    unet = "unet/diffusion_pytorch_model.safetensors"
    files = hub.repositories["org/model"]
    hub.repositories["org/base"] = {**files, unet: files[unet][:-4] + bytes(4)}
    before = len(hub.fetched())
    offered = catalog([model("base", "org/base")])
    wanted = request(model="base")
    painted = paint(own, wanted, offered)
    large = [name for name in hub.fetched()[before:] if name.endswith(".safetensors")]
    assert large == [unet]
    # One is deleted without the other.
    shutil.rmtree(tmp_path / "models" / "hub" / "models--org--model")
    offline = engine_with(tmp_path, "http://127.0.0.1:9")
    assert digests(paint(offline, wanted, offered)) == digests(painted)


@pytest.mark.parametrize("fault", ["no links", "cut short"])
def test_what_cannot_be_shared_is_downloaded(
    own: Engine, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    paint(own, ASKED, catalog([REMOTE]))
    hub.repositories["org/base"] = files = hub.repositories["org/model"]
    before = len(hub.fetched())
    if fault == "no links":
        monkeypatch.setattr(os, "link", fail)
    else:
        for blob in (tmp_path / "models" / "hub" / "models--org--model" / "blobs").iterdir():
            os.truncate(blob, 8)
    offered = catalog([model("base", "org/base")])
    assert paint(own, request(model="base"), offered).images
    assert {files[name] for name in hub.fetched()[before:]} == {
        files[name] for name in contents_wanted(hub)
    }


def contents_wanted(hub: HubServer) -> list[str]:
    kept = (".json", ".txt", "model.safetensors")
    return [name for name in hub.repositories["org/model"] if name.endswith(kept)]


def test_one_engine_waits_for_what_another_downloads(
    own: Engine, hub: HubServer, tmp_path: Path
) -> None:
    """With reports meanwhile, or its job would count as hung; and it can be stopped."""
    file = tmp_path / "models/hub/.locks/models--org--model/download.lock"
    file.parent.mkdir(parents=True)
    seen: list[Progress] = []

    def enough() -> None:
        if len([p for p in seen if p.stage is Stage.DOWNLOADING]) >= 2:
            raise PaintStopped(StopReason.CANCELLED)

    with FileLock(file), pytest.raises(PaintStopped):
        own.paint(order_of(ASKED, catalog([REMOTE])), seen.append, enough, lambda _: None)
    assert hub.fetched() == []
    assert paint(own, ASKED, catalog([REMOTE])).images
    assert hub.fetched()


def test_two_engines_that_need_the_same_model_download_it_once(
    own: Engine, hub: HubServer, tmp_path: Path
) -> None:
    other = engine_with(tmp_path, hub.url)
    offered = catalog([REMOTE])
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(paint, each, ASKED, offered) for each in (own, other)]
        first, second = [digests(each.result()) for each in both]
    assert first == second
    assert len(hub.fetched()) == len({*hub.fetched()})
    other.close()


@pytest.mark.long
def test_a_branch_is_found_again_without_network(
    own: Engine, hub: HubServer, tmp_path: Path
) -> None:
    offered = catalog([model("remote", "org/model", revision="a-branch")])
    painted = paint(own, ASKED, offered)
    assert any(path.endswith("/revision/a-branch?blobs=true") for path in hub.asked), hub.asked
    offline = engine_with(tmp_path, "http://127.0.0.1:9")
    assert digests(paint(offline, ASKED, offered)) == digests(painted)


def test_half_precision_prefers_16_bit_files(tmp_path: Path, hub: HubServer) -> None:
    from bot.engine.families import FAMILIES
    from bot.engine.selecting import checkpoint_files

    names = hub.repositories["org/model"]
    half = checkpoint_files(names, FAMILIES["sdxl"].files, None, half=True)
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in half
    assert "unet/diffusion_pytorch_model.safetensors" not in half
    assert "vae/diffusion_pytorch_model.safetensors" in half


@pytest.mark.long
def test_a_stop_during_the_download_leaves_no_half_model(own: Engine, hub: HubServer) -> None:
    seen: list[Progress] = []

    def stop_at_half() -> None:
        if seen and seen[-1].fraction > 0.5:
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(own, ASKED, catalog([REMOTE]), seen.append, stop_at_half)
    interrupted = len(hub.fetched())
    assert 0 < interrupted < len(contents_wanted(hub))
    assert digests(paint(own, ASKED, catalog([REMOTE])))
    assert len(hub.fetched()) <= len(contents_wanted(hub)) + 1


def test_without_network_the_model_and_its_folder_are_named(tmp_path: Path) -> None:
    failure = failure_of(engine_with(tmp_path, "http://127.0.0.1:9"))
    assert failure.code == "model.unreachable"
    assert failure.params == {
        "model": "remote",
        "path": "org/model",
    }


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (None, "model.not_on_hub"),
        ((401, "GatedRepo"), "model.gated"),
        ((403, "GatedRepo"), "model.gated"),
        ((404, "RevisionNotFound"), "model.not_on_hub"),
        ((500, ""), "model.unreachable"),
    ],
)
def test_the_hubs_refusals_are_told_apart(
    own: Engine, hub: HubServer, refused: tuple[int, str] | None, code: str
) -> None:
    hub.repositories.clear()
    if refused:
        hub.refused["org/model"] = refused
    assert failure_of(own).code == code


@pytest.mark.long
def test_a_gated_model_is_downloaded_with_the_token_of_the_settings(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.gated["org/model"] = "hf_ours"
    assert failure_of(engine_with(tmp_path, hub.url)).code == "model.gated"
    assert failure_of(engine_with(tmp_path, hub.url, "hf_other")).code == "model.gated"
    engine = engine_with(tmp_path, hub.url, "hf_ours")
    assert digests(paint(engine, ASKED, catalog([REMOTE])))
    engine.close()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"model.ckpt": b"x", "README.md": b"x"}, "model.no_safetensors"),
        ({"a.safetensors": b"x", "b.safetensors": b"x"}, "model.choose_file"),
        ({"model_index.json": b"{}"}, "model.incomplete"),
    ],
)
def test_a_repository_that_does_not_fit_is_not_downloaded(
    own: Engine, hub: HubServer, files: dict[str, bytes], code: str
) -> None:
    hub.repositories["org/model"] = files
    assert failure_of(own).code == code
    assert hub.fetched() == []


@pytest.mark.long
def test_one_file_of_a_repository_with_the_configuration_of_another(
    own: Engine, hub: HubServer, engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    checkpoint = single_file(models_dir / TINY, tmp_path / "x" / "big.safetensors")
    hub.repositories["org/files"] = {
        "big.safetensors": checkpoint.read_bytes(),
        "small.safetensors": b"never downloaded",
    }
    entry = model("remote", "org/files", weight_name="big.safetensors", config="org/model")
    painted = paint(own, ASKED, catalog([entry]))
    assert digests(painted) == digests(paint(engine, request()))
    assert not [name for name in hub.fetched()[1:] if name.endswith(".safetensors")]


def test_a_single_file_without_network_says_what_it_lacks(tmp_path: Path, models_dir: Path) -> None:
    checkpoint = single_file(models_dir / TINY, tmp_path / "alone.safetensors")
    with pytest.raises(JobFailed) as failure:
        paint(
            engine_with(tmp_path, "http://127.0.0.1:9"),
            ASKED,
            catalog([model("remote", str(checkpoint))]),
        )
    assert failure.value.code == "model.unreachable"
    assert failure.value.params["path"] == "stabilityai/stable-diffusion-xl-base-1.0"


@pytest.mark.long
def test_an_adapter_and_a_vae_from_the_hub(
    own: Engine, hub: HubServer, engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    lora = kohya_lora(tmp_path / "l.safetensors")
    hub.repositories["org/lora"] = {"l.safetensors": lora.read_bytes(), "x.bin": b"no"}
    hub.repositories["org/vae"] = contents(models_dir / "other" / "vae")
    entry = model("remote", "org/model", vae_path="org/vae")
    local = model("local", "tiny", vae_path=str(models_dir / "other" / "vae"))
    seen: list[Progress] = []
    asked = request(("l", 1.0), model="remote")
    adapter = AdapterEntry(key="l", name="l", path="org/lora", revision=COMMIT)
    painted = paint(own, asked, catalog([entry], l=adapter), seen.append)
    expected = paint(engine, request(("l", 1.0), model="local"), catalog([local], l=lora))
    assert digests(painted) == digests(expected)
    assert painted.recipe.vae
    assert painted.recipe.vae.name == "org/vae"
    assert painted.recipe.vae.sha256 == getattr(expected.recipe.vae, "sha256", None)
    assert {p.subject for p in seen if p.stage is Stage.DOWNLOADING} == {"remote", "l"}


@pytest.mark.long
def test_a_vae_of_two_models_is_downloaded_once_and_without_its_pipeline(
    own: Engine, hub: HubServer, models_dir: Path
) -> None:
    hub.repositories["org/pipeline"] = contents(models_dir / "other")
    for key in ("first", "second"):
        entry = model(key, str(models_dir / TINY), vae_path="org/pipeline")
        paint(own, request(model=key), catalog([entry]))
    fetched = sorted(hub.fetched())
    assert fetched == ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"]


@pytest.mark.long
def test_an_embedding_in_two_files_from_the_hub(
    own: Engine, hub: HubServer, tmp_path: Path
) -> None:
    import torch

    files = [("a", torch.ones(2, 32)), ("b", torch.ones(2, 48))]
    hub.repositories["org/toy"] = {
        f"{name}.safetensors": save(tmp_path / "f", {"<toy>": tensor}).read_bytes()
        for name, tensor in files
    }
    entry = EmbeddingEntry(
        key="toy",
        name="Toy",
        path="org/toy",
        weight_name="a.safetensors",
        second="b.safetensors",
    )
    offered = replace(catalog([REMOTE]), embeddings=Embeddings({"toy": entry}))
    asked = replace(ASKED, prompt="a <toy>", embeddings=(EmbeddingUse("toy", "<toy>"),))
    painted = paint(own, asked, offered)
    assert [weights.name for weights in painted.recipe.embeddings] == ["toy"]
    assert digests(painted) == digests(paint(own, asked, offered))
    assert digests(painted) != digests(paint(own, replace(asked, embeddings=()), offered))
    gone = entry.model_copy(update={"path": "org/gone"})
    with pytest.raises(JobFailed) as failure:
        paint(own, asked, replace(offered, embeddings=Embeddings({"toy": gone})))
    assert failure.value.code == "embedding.not_on_hub"
    assert failure.value.params["embedding"] == "toy"


def test_a_cache_filled_by_hand_is_used_without_network(
    tmp_path: Path, engine: Engine, models_dir: Path
) -> None:
    snapshot = tmp_path / "models" / "hub" / "models--org--model" / "snapshots" / COMMIT
    shutil.copytree(models_dir / TINY, snapshot)
    offline = engine_with(tmp_path, "http://127.0.0.1:9")
    painted = paint(offline, ASKED, catalog([REMOTE]))
    assert digests(painted) == digests(paint(engine, request()))


@pytest.mark.long
def test_a_cache_that_was_cut_short_is_completed(
    own: Engine, hub: HubServer, tmp_path: Path, models_dir: Path
) -> None:
    snapshot = tmp_path / "models" / "hub" / "models--org--model" / "snapshots" / COMMIT
    configs_only(models_dir / TINY, snapshot)
    assert digests(paint(own, ASKED, catalog([REMOTE])))
    assert sorted(hub.fetched()) == sorted(
        name for name in contents_wanted(hub) if name.endswith(".safetensors")
    )


def test_a_download_cut_off_by_the_server_is_no_model(own: Engine, hub: HubServer) -> None:
    hub.overstated = 5
    failure = failure_of(own)
    assert failure.code == "model.download_failed"
    assert failure.params["reason"] == "OSError"
    assert own.loaded is None


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ETIMEDOUT, "model.unreachable"), (errno.EMFILE, None)]
)
def test_a_network_that_is_away_is_no_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: str | None
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", away)
    engine = engine_with(tmp_path, "http://127.0.0.1:9")
    with pytest.raises((JobFailed, OSError)) as failure:
        paint(engine, ASKED, catalog([REMOTE]))
    if expected is None:
        assert isinstance(failure.value, OSError)
        assert failure.value.errno == number
    else:
        assert isinstance(failure.value, JobFailed)
        assert failure.value.code == expected
