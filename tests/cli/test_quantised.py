"""What `check`, `/models` and `GET /models` say of networks that are quantised in a way that is not
read, wherever the weights and what says so are."""

import json
from pathlib import Path

import pytest

from bot.errors import Refused
from bot.request.offers import find_model
from catalog import LiveCatalog, Pace
from catalog.families import TEXT_ENCODER, VAE
from catalog.families.encoders import QWEN3_4B
from catalog.weight_files.gguf import SUFFIX
from tests.catalog.home import Home, checkpoint_bytes, weights_bytes
from tests.catalog.test_encoders import ADVICE, catalog_with, config_of, shapes_of
from tests.cli.test_networks import FOUND, Said, told
from tests.cli.test_presence import ALONE, SNAPSHOT, USUAL, in_layout, written
from tests.gguf_files import SIZES, Tensor
from tests.gguf_files import written as gguf_written

ODD = checkpoint_bytes({"layer.weight": [1, 1], "layer.weight_scale_2": [1]})
REASON = "they are quantised with NVFP4 (layer.weight_scale_2)"
FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def unread(what: str, shown: str) -> Said:
    """what: the file, and what that is. shown: in `/models`."""
    said = f"{what} (its weights cannot be read: {REASON})"
    return f"model far: {said}, so it is not offered", shown, (False, [f"{said}; {ADVICE}"])


@pytest.mark.parametrize("path", ["e", "org/e"])
@pytest.mark.parametrize("indexed", [True, False])
async def test_a_text_encoder_in_shards_is_judged_by_each_of_them(
    home: Home, path: str, indexed: bool
) -> None:
    folder = home.models_dir / ("hub/models--org--e/snapshots/abc" if "/" in path else path)
    home.put(folder / "config.json", json.dumps(config_of(QWEN3_4B)).encode())
    if indexed:
        home.put(folder / "model.safetensors.index.json", b"{}")
    home.put(folder / FIRST, checkpoint_bytes(shapes_of(QWEN3_4B)))
    home.put(folder / SECOND, weights_bytes())
    assert await told(home, catalog_with(home, "zimage", path)) == FOUND
    home.put(folder / SECOND, ODD)
    shown = f" · ⚠ can't read its text encoder: {REASON}".replace("_", "\\_")
    said = unread(f"{path} is a text encoder (Qwen3-4B)", shown)
    assert await told(home, catalog_with(home, "zimage", path)) == said


@pytest.mark.parametrize("path", ["far", "org/far"])
@pytest.mark.parametrize("network", ["transformer", TEXT_ENCODER, VAE])
@pytest.mark.parametrize("sharded", [True, False])
async def test_every_network_of_a_model_in_a_folder_is_judged(
    home: Home, path: str, network: str, sharded: bool
) -> None:
    folder = in_layout(home, SNAPSHOT if "/" in path else path, "zimage", None)
    written(home, path, 'variant = "base"')
    assert await told(home, home.read()) == FOUND
    for file in (folder / network).glob("*.safetensors"):
        file.unlink()
    for name in (FIRST, SECOND) if sharded else ("model.safetensors",):
        home.put(folder / network / name, weights_bytes() if name == FIRST else ODD)
    shown = f" · ⚠ Z-Image, but can't read its weights: {REASON}".replace("_", "\\_")
    assert await told(home, home.read()) == unread(f"{path} is a Z-Image model", shown)
    if network != "transformer":  # what another replaces is not read
        written(home, path, 'variant = "base"', f'{network}_path = "org/another"')
        assert home.read().unfit_models == {}


async def test_what_a_configuration_of_any_network_says_counts(home: Home) -> None:
    folder = in_layout(home, "far", "zimage", None)
    written(home, "far", 'variant = "base"')
    said = {**config_of(QWEN3_4B), "quantization_config": {"quant_method": "bitsandbytes"}}
    home.put(folder / "text_encoder/config.json", json.dumps(said).encode())
    checked, _, _ = await told(home, home.read())
    assert "quantised with bitsandbytes (quantization_config)" in checked


async def test_what_lends_a_file_what_it_lacks_is_judged_as_well(home: Home) -> None:
    home.put(home.models_dir / "checkpoints/far_turbo.safetensors", checkpoint_bytes(ALONE))
    home.put(home.models_dir / "own_turbo.safetensors", checkpoint_bytes(ALONE))
    written(home, "own_turbo.safetensors")
    folder = home.pipeline(USUAL, "zimage", None)
    assert await told(home, home.read()) == FOUND
    home.put(folder / "transformer/diffusion_pytorch_model.safetensors", ODD)
    assert await told(home, home.read()) == FOUND
    (folder / "text_encoder/model.safetensors").unlink()
    home.put(folder / "text_encoder" / FIRST, ODD)
    assert home.read().unfit_models == {}
    home.put(folder / "text_encoder" / SECOND, weights_bytes())
    for why in home.read().unfit_models.values():
        assert str(why).startswith("Tongyi-MAI/Z-Image-Turbo is a Z-Image model (its weights")
    assert home.read().unfit_models.keys() == {"far", "far_turbo"}


@pytest.mark.parametrize("name", ["checkpoints/far.safetensors", "far.gguf"])
async def test_a_single_file_is_of_its_family_all_the_same(home: Home, name: str) -> None:
    if name.endswith(SUFFIX):
        numbers, size = SIZES["IQ4_XS"]
        tensors: dict[str, Tensor] = {n: ("F16", s, bytes(2)) for n, s in ALONE.items()}
        tensors["layers.0.weight"] = ("IQ4_XS", (1, numbers), bytes(size))
        gguf_written(home.models_dir / name, tensors)
    else:
        odd = {**ALONE, "layers.0.weight_scale_2": [1]}
        home.put(home.models_dir / name, checkpoint_bytes(odd))
    written(home, name, 'variant = "base"')
    catalog = home.read()
    _, shown, _ = await told(home, catalog)
    assert shown.startswith(" · ⚠ Z-Image, but can't read its weights: ")
    with pytest.raises(Refused) as refusal:
        find_model(catalog, "far", nsfw=False)
    assert (refusal.value.code, refusal.value.params["family"]) == ("model.unread", "Z-Image")


def test_one_of_several_variants_that_can_be_read_is_enough(home: Home) -> None:
    """Which is taken depends on what the engine computes in."""
    folder = in_layout(home, "far", "sdxl", None)
    written(home, "far")
    home.put(folder / "unet/diffusion_pytorch_model.fp16.safetensors", ODD)
    assert home.read().unfit_models == {}
    home.put(folder / "unet/diffusion_pytorch_model.safetensors", ODD)
    assert home.read().unfit_models.keys() == {"far"}


def test_shards_that_come_later_are_judged_then(home: Home) -> None:
    folder = in_layout(home, "far", "zimage", ("transformer", VAE))
    home.put(folder / TEXT_ENCODER / FIRST, ODD)
    written(home, "far", 'variant = "base"')
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.unfit_models == {}
    assert not live.refresh()
    home.put(folder / TEXT_ENCODER / SECOND, weights_bytes())
    assert live.refresh()
    assert live.current.unfit_models.keys() == {"far"}
    assert not live.refresh()
    home.put(folder / TEXT_ENCODER / FIRST, weights_bytes())
    assert live.refresh()
    assert live.current.unfit_models == {}


def test_they_are_read_in_the_background_like_others(home: Home) -> None:
    """Of a model with an entry, and of one that was dropped in and lacks them."""

    def shards(folder: Path) -> None:
        for name, raw in ((FIRST, weights_bytes()), (SECOND, ODD)):
            home.put(folder / TEXT_ENCODER / name, raw)

    home.put(home.models_dir / "checkpoints/near_turbo.safetensors", checkpoint_bytes(ALONE))
    shards(in_layout(home, "far", "zimage", ("transformer", VAE)))
    written(home, "far", 'variant = "base"')
    live = LiveCatalog(home.catalog_dir, home.models_dir, pace=Pace(0, 0, 0))
    assert live.current.models.keys() == {"base"}
    live.read_rest()
    assert live.current.models.keys() == {"base", "far", "near_turbo"}
    assert live.current.unfit_models.keys() == {"far"}
    shards(home.pipeline(USUAL, "zimage", (VAE,)))
    live.reload()
    assert live.current.models.keys() == {"base", "far"}
    [waiting] = live.current.unread
    assert [Path(path).name for path in waiting.paths] == [
        FIRST,
        SECOND,
        "diffusion_pytorch_model.safetensors",
    ]
    live.read_rest()
    assert live.current.unread == ()
    assert live.current.unfit_models.keys() == {"far", "near_turbo"}
