"""Single files of SD 1.5 and SDXL without text encoders or a VAE: the folder's images to the byte.

What they lack comes with their configuration.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.painting import Painting
from catalog.families import FAMILIES
from tests.engine import factories
from tests.engine.factories import catalog, digests, kohya_lora, paint, request, save, single_file
from tests.engine.hub_server import contents, hub_server
from tests.parameters import mostly_long

Tensors = dict[str, Any]
UNET = "model.diffusion_model."
VAE = "first_stage_model."
FOLDERS = {"sdxl": factories.TINY, "sd15": "sd15"}
ENCODERS = {"sdxl": ("text_encoder", "text_encoder_2"), "sd15": ("text_encoder",)}
ENCODER = {"sdxl": "conditioner.embedders.", "sd15": "cond_stage_model."}


def model(family: str, path: Path | str, key: str = "x", **fields: Any) -> Any:
    return factories.model(key, str(path), family=FAMILIES[family], **fields)


def painted(engine: Engine, family: str, path: Path | str, **fields: Any) -> Painting:
    return paint(engine, request(model="x"), catalog([model(family, path, **fields)]))


def parts(painting: Painting) -> list[str]:
    return [part.name for part in painting.recipe.parts]


@pytest.fixture
def whole(sd15_dir: Path, tmp_path: Path, family: str) -> Tensors:
    """The tensors of the whole checkpoint of `family`, as Stability names them."""
    from safetensors.torch import load_file

    file = single_file(sd15_dir / FOLDERS[family], tmp_path / "whole.safetensors")
    return {**load_file(file)}


def without(*prefixes: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {n: t for n, t in tensors.items() if not n.startswith(prefixes)}


@pytest.mark.parametrize("family", FOLDERS)
@pytest.mark.parametrize("lacking", mostly_long(["both", "encoders", "vae"], usual=1))
@pytest.mark.long
def test_what_it_lacks_comes_with_its_configuration(
    engine: Engine,
    tmp_path: Path,
    family: str,
    lacking: str,
    whole: Tensors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "bot.engine")
    left_out = {"both": (ENCODER[family], VAE), "encoders": (ENCODER[family],), "vae": (VAE,)}
    file = save(tmp_path / "x.safetensors", without(*left_out[lacking])(whole))
    found = painted(engine, family, file, config=FOLDERS[family])
    assert digests(found) == digests(painted(engine, family, FOLDERS[family]))
    lent = (*(ENCODERS[family] if lacking != "vae" else ()), *(("vae",) * (lacking != "encoders")))
    assert parts(found) == [f"{FOLDERS[family]}/{network}" for network in lent]
    assert not caplog.records


def stability(prefix: str) -> Callable[[Path, Tensors], Tensors]:
    """The UNet alone, in Stability's names."""
    return lambda _, tensors: {
        prefix + name.removeprefix(UNET): tensor
        for name, tensor in tensors.items()
        if name.startswith(UNET)
    }


def diffusers(prefix: str) -> Callable[[Path, Tensors], Tensors]:
    """The UNet alone, in the names of diffusers."""

    def renamed(folder: Path, _: Tensors) -> Tensors:
        from safetensors.torch import load_file

        file = folder / "unet" / "diffusion_pytorch_model.safetensors"
        return {prefix + name: tensor for name, tensor in load_file(file).items()}

    return renamed


def with_strays(_: Path, tensors: Tensors) -> Tensors:
    """What is left of text encoders and a VAE in some files that were cut down."""
    import torch

    return {
        **stability(UNET)(_, tensors),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "conditioner.embedders.1.model.logit_scale": torch.tensor(4.6),
        "first_stage_model.loss.logvar": torch.tensor(0.0),
    }


SPELLINGS = {
    "Stability": stability(UNET),
    "bare": stability(""),
    "diffusers": diffusers(""),
    "ComfyUI": stability("diffusion_model."),
    "diffusers, whole": diffusers("unet."),
    "with strays": with_strays,
}


@pytest.mark.parametrize("family", mostly_long(FOLDERS, usual=1))
@pytest.mark.parametrize("spelling", mostly_long(SPELLINGS, usual=2))
def test_a_unet_alone_in_each_spelling(
    engine: Engine,
    sd15_dir: Path,
    tmp_path: Path,
    family: str,
    spelling: str,
    whole: Tensors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "bot.engine")
    tensors = SPELLINGS[spelling](sd15_dir / FOLDERS[family], whole)
    file = save(tmp_path / "x.safetensors", tensors)
    found = painted(engine, family, file, config=FOLDERS[family])
    assert digests(found) == digests(painted(engine, family, FOLDERS[family]))
    assert len(parts(found)) == len(ENCODERS[family]) + 1
    assert not caplog.records


def averaged(tensors: Tensors) -> Tensors:
    """The running averages of the UNet, as training keeps them beside it; other numbers."""
    return {
        "model_ema.decay": next(iter(tensors.values())).new_tensor(0.9999),
        "model_ema.num_updates": next(iter(tensors.values())).new_zeros((), dtype=int),
        **{
            f"model_ema.{name.removeprefix('model.').replace('.', '')}": tensor * 0.5
            for name, tensor in tensors.items()
            if name.startswith(UNET)
        },
    }


@pytest.mark.parametrize("family", mostly_long(FOLDERS, usual=1))
@pytest.mark.parametrize("pruned", mostly_long([False, True], usual=[True]))
def test_running_averages_are_left_out_on_purpose(
    engine: Engine,
    tmp_path: Path,
    family: str,
    pruned: bool,
    whole: Tensors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As in v1-5-pruned, which has both. The plain weights are used."""
    caplog.set_level(logging.WARNING, "bot.engine")
    kept = without(ENCODER[family], VAE)(whole) if pruned else whole
    file = save(tmp_path / "x.safetensors", {**averaged(whole), **kept})
    found = painted(engine, family, file, config=FOLDERS[family])
    assert digests(found) == digests(painted(engine, family, FOLDERS[family]))
    assert not caplog.records


@pytest.mark.parametrize("family", ["sd15"])
def test_diffusers_uses_the_plain_weights_too(
    sd15_dir: Path, tmp_path: Path, whole: Tensors
) -> None:
    import torch
    from diffusers import UNet2DConditionModel

    file = save(tmp_path / "x.safetensors", {**averaged(whole), **whole})
    folder = sd15_dir / FOLDERS["sd15"]
    theirs = UNet2DConditionModel.from_single_file(
        file, config=str(folder), subfolder="unet", local_files_only=True
    ).state_dict()
    ours = diffusers("")(folder, whole)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize("family", FOLDERS)
@pytest.mark.long
def test_a_vae_of_its_own_is_not_lent(
    engine: Engine, tmp_path: Path, family: str, whole: Tensors
) -> None:
    file = save(tmp_path / "x.safetensors", stability(UNET)(tmp_path, whole))
    other = {"sdxl": "other", "sd15": "sd15-other"}[family]
    vae = {"vae_path": f"{other}/vae"}
    found = painted(engine, family, file, config=FOLDERS[family], **vae)
    assert digests(found) == digests(painted(engine, family, FOLDERS[family], **vae))
    assert parts(found) == [f"{FOLDERS[family]}/{network}" for network in ENCODERS[family]]


@pytest.mark.parametrize("family", ["sdxl"])
@pytest.mark.long
def test_an_adapter_changes_lent_text_encoders_as_it_does_its_own(
    engine: Engine, tmp_path: Path, whole: Tensors
) -> None:
    file = save(tmp_path / "x.safetensors", stability(UNET)(tmp_path, whole))
    offered = catalog(
        [model("sdxl", file, config="tiny")], a=kohya_lora(tmp_path / "a.safetensors")
    )
    asked = [request(("a", 0.7), model=key) for key in ("x", "demo")]
    found, expected = (digests(paint(engine, each, offered)) for each in asked)
    assert found == expected != digests(paint(engine, request(), offered))


def lacks_one(tensors: Tensors, prefix: str) -> Tensors:
    name = next(name for name in tensors if name.startswith(prefix) and name.endswith(".weight"))
    return {n: t for n, t in tensors.items() if n != name}


@pytest.mark.parametrize("family", mostly_long(FOLDERS, usual=1))
@pytest.mark.parametrize("network", mostly_long(["unet", "text_encoder", "vae"], usual=1))
def test_a_single_tensor_that_is_missing_is_named(
    engine: Engine, tmp_path: Path, family: str, network: str, whole: Tensors
) -> None:
    """What is there in part is not replaced by something else."""
    prefix = {"unet": f"{UNET}output_blocks", "vae": VAE, "text_encoder": ENCODER[family]}[network]
    file = save(tmp_path / "x.safetensors", lacks_one(whole, prefix))
    with pytest.raises(JobFailed) as failure:
        painted(engine, family, file, config=FOLDERS[family])
    assert failure.value.code == "model.incomplete"
    assert str(failure.value.params["part"]).startswith(f"{network} (")


@pytest.mark.parametrize("family", ["sdxl"])
def test_half_of_the_text_encoders_are_refused(
    engine: Engine, tmp_path: Path, whole: Tensors
) -> None:
    file = save(tmp_path / "x.safetensors", without("conditioner.embedders.1.")(whole))
    with pytest.raises(JobFailed) as failure:
        painted(engine, "sdxl", file, config="tiny")
    assert failure.value.code == "model.other_family"
    what = "SDXL checkpoint with incomplete or unknown text encoders"
    assert failure.value.params["what"] == what


def repository(folder: Path) -> Mapping[str, bytes]:
    """With what a download must leave alone."""
    return {
        **contents(folder),
        "v1-5-pruned.safetensors": b"never downloaded",
        "text_encoder/pytorch_model.bin": b"never downloaded",
        "text_encoder/model.fp16.safetensors": b"never downloaded on the CPU",
    }


@pytest.mark.long
@pytest.mark.parametrize("family", FOLDERS)
def test_what_is_lent_is_downloaded_once_for_all(
    engine: Engine, sd15_dir: Path, tmp_path: Path, family: str, whole: Tensors
) -> None:
    folder = sd15_dir / FOLDERS[family]
    files = [
        save(tmp_path / f"{name}.safetensors", tensors)
        for name, tensors in (
            ("one", stability(UNET)(folder, whole)),
            ("two", diffusers("")(folder, whole)),
        )
    ]
    with hub_server() as hub:
        hub.repositories["org/model"] = repository(folder)
        own = Engine(
            models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json", hub_endpoint=hub.url
        )
        first, second = (painted(own, family, file, config="org/model") for file in files)
        own.close()
        expected = digests(painted(engine, family, FOLDERS[family]))
        assert digests(first) == digests(second) == expected
        assert first.recipe.parts == second.recipe.parts
        weights = [name for name in hub.fetched() if not name.endswith((".json", ".txt"))]
        assert sorted(name.partition("/")[0] for name in weights) == [*ENCODERS[family], "vae"]


@pytest.mark.parametrize("family", FOLDERS)
def test_a_published_file_of_its_unet_is_read_whole(family: str) -> None:
    """Both halves of the code agree on what a file lacks, for the names of the real ones."""
    from bot.engine.families import FAMILIES as ENGINES
    from catalog.weight_files import Header
    from tests.catalog.weight_files.headers import shapes_of

    for name, prefix in (
        *((family, prefix) for prefix in ("", "unet.")),
        *((f"{family}-original", prefix) for prefix in ("", UNET, "diffusion_model.")),
    ):
        named = {prefix + tensor: shape for tensor, shape in shapes_of(name).items()}
        header = Header(named, dict.fromkeys(named, "F16"), {}, {}, 0, {})
        assert ENGINES[family].lacking(header) == (*ENCODERS[family], "vae")
