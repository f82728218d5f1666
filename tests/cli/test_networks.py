"""What `check`, `/models` and `GET /models` say of a model whose entry names a text encoder: all
the same, and what the engine finds as well."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import pytest

from bot.api.original.catalog import models
from bot.backend import Backend
from bot.chat.ui.browsing import Filter
from bot.choosing import Uses
from bot.cli import check as check_module
from bot.engine.selecting import Unfit, replacing_files
from bot.errors import StoreError
from bot.previews import Pictures, Shelf
from bot.store import ApiKey, Store
from catalog import Catalog
from catalog.families import TEXT_ENCODER, VAE
from catalog.families.encoders import QWEN3_06B, QWEN3_4B
from cogs.browsing import Browsing
from tests.catalog.fixed import fixed
from tests.catalog.home import Home, checkpoint_bytes
from tests.catalog.test_encoders import catalog_with, config_of, packed, shapes_of
from tests.chat.found import found_here
from tests.gguf_files import gguf

ZIMAGE = "Tongyi-MAI/Z-Image-Turbo"
FITS = checkpoint_bytes(shapes_of(QWEN3_4B))
SMALL = checkpoint_bytes(shapes_of(QWEN3_06B))
CONFIG = json.dumps(config_of(QWEN3_4B)).encode()
Said: TypeAlias = tuple[str, str, tuple[bool, list[str]]]
FOUND: Said = ("model far: found", "", (True, []))
"""As `check`, `/models` and `GET /models` say it."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


class Unreadable:
    async def mine(self, person: str, kind: str) -> dict[str, int]:
        raise StoreError("disk full")


async def told(home: Home, catalog: Catalog) -> Said:
    """What `check` says, what stands beside the key in `/models`, and what `GET /models` says:
    whether it is available, and its problems."""
    checked = [f.text for f in check_module._entries(catalog, home.models_dir)]
    browsing = Browsing(
        catalog=fixed(catalog),
        store=cast("Store", None),
        uses=cast("Uses", Unreadable()),
        pictures=Pictures(home.root, home.root / "previews"),
        models_dir=home.models_dir,
        loaded=lambda: (),
        loaded_adapters=lambda: (),
    )
    interaction = cast("Any", SimpleNamespace(extras=found_here()))
    view, _ = await browsing.page(interaction, Shelf.MODELS, Filter(), 0)
    lines = "\n".join(str(getattr(item, "content", "")) for item in view.walk_children())
    backend = SimpleNamespace(
        catalog=SimpleNamespace(current=catalog),
        settings=SimpleNamespace(models_dir=home.models_dir),
        loaded=frozenset,
    )
    caller = cast("ApiKey", SimpleNamespace(nsfw=False))
    listed = {each["key"]: each for each in await models(cast("Backend", backend), caller)}
    return (
        next(text for text in checked if text.startswith("model far:")),
        next(line for line in lines.splitlines() if line.startswith("`far`"))[len("`far`") :],
        (listed["far"]["available"], listed["far"]["problems"]),
    )


@pytest.mark.parametrize(
    ("files", "read"),
    [
        ({"one.safetensors": FITS}, ["one.safetensors"]),
        ({"one.gguf": gguf(packed(QWEN3_4B))}, ["one.gguf"]),
        ({"one.safetensors": FITS, "readme.md": b""}, ["one.safetensors"]),
        ({"one.safetensors": FITS, "other.gguf": b""}, ["one.safetensors"]),
        ({"config.json": CONFIG, "one.safetensors": FITS}, ["config.json", "one.safetensors"]),
    ],
)
async def test_a_folder_with_one_file_is_found(
    home: Home, files: dict[str, bytes], read: list[str]
) -> None:
    for name, raw in files.items():
        home.put(home.models_dir / "one" / name, raw)
    assert await told(home, catalog_with(home, "zimage", "one")) == FOUND
    assert [*replacing_files(files, TEXT_ENCODER, "model", half=True)] == read


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "contains no config.json and no whole .safetensors or .gguf file"),
        ({"readme.md": b""}, "contains no config.json and no whole .safetensors or .gguf file"),
    ],
)
async def test_a_folder_without_any_is_not(home: Home, files: dict[str, bytes], said: str) -> None:
    (home.models_dir / "one").mkdir()
    for name, raw in files.items():
        home.put(home.models_dir / "one" / name, raw)
    problem = f"text_encoder_path '{home.models_dir / 'one'}' {said}"
    assert await told(home, catalog_with(home, "zimage", "one")) == (
        f"model far: {problem}",
        " · currently unavailable",
        (False, [problem]),
    )
    with pytest.raises(Unfit):
        replacing_files(files, TEXT_ENCODER, "model", half=True)


async def test_a_folder_with_several_is_told_to_name_one(home: Home) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        home.put(home.models_dir / "two" / name, FITS)
    problem = (
        f"text_encoder_path must name one of the files in '{home.models_dir / 'two'}':"
        " a.safetensors, b.safetensors"
    )
    assert await told(home, catalog_with(home, "zimage", "two")) == (
        f"model far: {problem}",
        " · currently unavailable",
        (False, [problem]),
    )


async def test_the_one_file_of_a_folder_is_read(home: Home) -> None:
    file = home.put(home.models_dir / "one/q.safetensors", FITS[:-1])
    checked, shown, (available, problems) = await told(home, catalog_with(home, "zimage", "one"))
    start = f"text_encoder_path '{file}' cannot be read: it is cut off"
    assert [problem.startswith(start) for problem in problems] == [True]
    assert (checked, shown, available) == (
        f"model far: {problems[0]}",
        " · currently unavailable",
        False,
    )
    home.put(file, SMALL)
    checked, shown, (available, problems) = await told(home, catalog_with(home, "zimage", "one"))
    what = "text encoder (Qwen3-0.6B)"
    assert checked == f"model far: q.safetensors is a {what}, so it is not offered"
    assert shown == f" · ⚠ its text encoder can't be used: {what}, not Qwen3-4B"
    assert not available
    assert [each.startswith("q.safetensors is a text encoder") for each in problems] == [True]


@pytest.mark.parametrize(
    ("files", "here"),
    [
        ((), False),
        (("model.safetensors",), True),
        # In a pipeline, only what its libraries write is read.
        (("qwen-Q4_K_M.gguf",), False),
        (("model.safetensors", "model.fp16.safetensors"), True),
        (("model-00001-of-00002.safetensors",), False),
        (("model-00002-of-00002.safetensors", "model.safetensors.index.json"), False),
        (("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), True),
        (("model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors"), True),
        (("model-00001-of-00002.safetensors", "model-00002-of-00003.safetensors"), False),
        (("model-00001-of-00002.safetensors", "other-00002-of-00002.safetensors"), False),
        (("model-00001-of-00002.safetensors", "model-00002-of-00002.fp16.safetensors"), False),
    ],
)
async def test_a_repository_is_here_once_all_weights_of_the_network_are(
    home: Home, files: tuple[str, ...], here: bool
) -> None:
    """Its configurations are, as soon as they complete another model; so may be other networks."""
    snapshot = home.models_dir / "hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc"
    home.put(snapshot / "model_index.json", b"{}")
    home.put(snapshot / "vae/config.json", b"{}")
    home.put(snapshot / "vae/diffusion_pytorch_model.safetensors", FITS)
    home.put(snapshot / "text_encoder/config.json", CONFIG)
    for name in files:
        gguf_file = name.endswith(".gguf")
        home.put(snapshot / "text_encoder" / name, gguf(packed(QWEN3_4B)) if gguf_file else FITS)
    later: Said = ("model far: downloaded at first use", " · downloads on first use", (False, []))
    assert await told(home, catalog_with(home, "zimage", ZIMAGE)) == (FOUND if here else later)


async def test_a_configuration_without_weights_beside_it_is_not_the_networks(home: Home) -> None:
    """Some pipelines have one of their own at the top."""
    snapshot = home.models_dir / "hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc"
    home.put(snapshot / "config.json", b"{}")
    home.put(snapshot / "text_encoder/config.json", CONFIG)
    home.put(snapshot / "text_encoder/model.safetensors", FITS)
    assert await told(home, catalog_with(home, "zimage", ZIMAGE)) == FOUND


async def test_a_repository_of_one_file_is_here_once_that_is(home: Home) -> None:
    snapshot = home.models_dir / "hub/models--org--qwen/snapshots/abc"
    home.put(snapshot / "README.md", b"")
    _, _, (available, problems) = await told(home, catalog_with(home, "zimage", "org/qwen"))
    assert (available, problems) == (False, [])
    home.put(snapshot / "qwen.safetensors", FITS)
    assert await told(home, catalog_with(home, "zimage", "org/qwen")) == FOUND


async def test_the_room_for_what_is_still_to_be_downloaded_is_told(home: Home) -> None:
    snapshot = home.models_dir / "hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc"
    for network in (TEXT_ENCODER, VAE):
        home.put(snapshot / network / "config.json", b"{}")
    catalog = catalog_with(home, "zimage", f'{ZIMAGE}"\nvae_path = "{ZIMAGE}')
    only = replace(catalog, models={"far": catalog.models["far"]})
    [found, room] = [f.text for f in check_module._entries(only, home.models_dir)]
    assert found == "model far: downloaded at first use"
    assert room.startswith("disk: ")


async def test_a_shard_that_is_here_already_is_not_judged_alone(home: Home) -> None:
    snapshot = home.models_dir / "hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc"
    home.put(snapshot / "text_encoder/config.json", CONFIG)
    later = checkpoint_bytes({"model.layers.9.self_attn.q_norm.weight": [1]})
    home.put(snapshot / "text_encoder/model-00002-of-00002.safetensors", later)
    assert catalog_with(home, "zimage", ZIMAGE).unfit_models == {}
