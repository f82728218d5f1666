"""A VAE of its own gives the same image in whatever files it comes, for every family."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file

from bot.engine import Engine
from bot.engine.families.family import VAE
from bot.errors import JobFailed
from catalog.families import FAMILIES
from catalog.families.vaes import KL_4
from tests.catalog.weight_files.headers import shapes_of
from tests.engine.factories import catalog, digests, model, paint, request, resident, single_file
from tests.engine.families.anima.files import authors as of_anima
from tests.engine.families.anima.files import authors_vae as of_wan
from tests.engine.families.flux2.files import authors_vae as of_ldm
from tests.engine.families.flux2.files import below, stored, write
from tests.engine.families.test_complete import TINY
from tests.parameters import mostly_long

ASKED: Final = request(model="x", guidance=1.0, steps=1)
LAYOUTS: Final = ("folder", "pipeline", "diffusers file", "authors' file", "inside another")
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"


def _of_stability(folder: Path, target: Path) -> dict[str, torch.Tensor]:
    whole = load_file(single_file(folder, target, vae_prefix="vae."))
    return {n.removeprefix("vae."): t for n, t in whole.items() if n.startswith("vae.")}


AUTHORS: Final[dict[str, Callable[[Path, Path], dict[str, torch.Tensor]]]] = {
    "sdxl": _of_stability,
    "sd15": _of_stability,
    "flux2": lambda folder, _: of_ldm(stored(folder, VAE)),
    "zimage": lambda folder, _: of_ldm(stored(folder, VAE)),
    "anima": lambda folder, _: of_wan(stored(folder, VAE)),
    "chroma": lambda folder, _: of_ldm(stored(folder, VAE)),
    "flux1": lambda folder, _: of_ldm(stored(folder, VAE)),
    "krea2": lambda folder, _: of_wan(stored(folder, VAE)),
}
"""Family → the VAE of the pipeline in a folder in its authors' names."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each family a tiny model `KEY`, and `KEY-other` of one shape with another VAE."""
    root = tmp_path_factory.mktemp("vaes")
    for key, build in TINY.items():
        build(root / key)
        other = Path(shutil.copytree(root / key, root / f"{key}-other"))
        tensors = stored(other, VAE)
        changed = {n: t * 1.25 if t.is_floating_point() else t for n, t in tensors.items()}
        write(other / VAE / WEIGHTS, changed)
    return root


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    hashes = folders / "hashes.json"
    engine = Engine(models_dir=folders, hashes_file=hashes, memory="full", model_cache=2**27)
    yield engine
    engine.close()


def spelt(layout: str, family: str, folder: Path, tmp_path: Path) -> Path:
    """The VAE of the pipeline in `folder` as `vae_path` names it."""
    file = tmp_path / "ae.safetensors"
    match layout:
        case "folder":
            return Path(shutil.copytree(folder / VAE, tmp_path / "alone"))
        case "pipeline":
            return folder
        case "diffusers file":
            return write(file, stored(folder, VAE))
        case "authors' file":
            return write(file, AUTHORS[family](folder, tmp_path / "whole.safetensors"))
        case _:
            flux = {"double_blocks.0.img_attn.qkv.weight": torch.zeros(9, 3)}
            tensors = AUTHORS[family](folder, tmp_path / "whole.safetensors")
            return write(file, {**flux, **below("vae.", tensors)})


@pytest.mark.parametrize("layout", mostly_long(LAYOUTS[::-1], usual=3))
@pytest.mark.parametrize("family", mostly_long(TINY, usual=["sd15", "flux2"]))
def test_the_image_is_that_of_the_pipeline_with_this_vae(
    painter: Engine,
    folders: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    family: str,
    layout: str,
) -> None:
    caplog.set_level(logging.WARNING, "bot.engine")
    vae = spelt(layout, family, folders / f"{family}-other", tmp_path)
    own, wanted, found = (
        paint(painter, ASKED, catalog([model("x", path, family=family, vae_path=replaced)]))
        for path, replaced in ((family, None), (f"{family}-other", None), (family, str(vae)))
    )
    assert digests(found) == digests(wanted) != digests(own)
    assert not caplog.records
    assert own.recipe.vae is None
    assert found.recipe.vae
    assert found.recipe.vae.name == vae.name
    if vae.is_file():
        assert found.recipe.vae.sha256 == hashlib.sha256(vae.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "family", mostly_long(["flux2", "zimage", "anima", "krea2"], usual=["flux2"])
)
def test_a_transformer_alone_takes_no_other_vae(
    painter: Engine, folders: Path, tmp_path: Path, family: str
) -> None:
    config = Path(shutil.copytree(folders / family, tmp_path / "config"))
    (config / VAE / WEIGHTS).unlink()
    tensors = stored(config, "transformer")
    if family == "anima":
        tensors = of_anima(tensors, stored(config, "text_conditioner"))
    file = write(tmp_path / "base.safetensors", tensors)
    other = folders / f"{family}-other"
    fields = {"config": str(config), "vae_path": str(other / VAE), "family": family}
    found, wanted = (
        paint(painter, ASKED, catalog([model("x", str(path), **more)]))
        for path, more in ((file, fields), (other, {"family": family}))
    )
    assert digests(found) == digests(wanted)
    assert [part.name.rpartition("/")[2] for part in found.recipe.parts] == ["text_encoder"]


@pytest.mark.parametrize("family", TINY)
@pytest.mark.long
def test_two_models_hold_it_once_in_ram_in_whatever_files_it_is(
    painter: Engine, folders: Path, tmp_path: Path, family: str
) -> None:
    held: list[Any] = []
    for layout, path in (("authors' file", family), ("folder", f"{family}-other")):
        (tmp_path / layout).mkdir()
        vae = spelt(layout, family, folders / f"{family}-other", tmp_path / layout)
        entry = model("x", path, family=family, vae_path=str(vae))
        paint(painter, ASKED, catalog([entry]))
        held.append(resident(painter).parts[VAE]._weights)
    assert held[0] is held[1]
    assert held[0].memory


@pytest.mark.parametrize("layout", ["folder", "authors' file"])
@pytest.mark.parametrize("other", TINY)
@pytest.mark.parametrize("family", mostly_long(TINY, usual=["sd15", "flux2"]))
def test_one_of_another_family_is_refused_by_name(
    painter: Engine, folders: Path, tmp_path: Path, family: str, other: str, layout: str
) -> None:
    if FAMILIES[family].vae == FAMILIES[other].vae:
        return
    vae = spelt(layout, other, folders / other, tmp_path)
    with pytest.raises(JobFailed) as failure:
        paint(painter, ASKED, catalog([model("x", family, family=family, vae_path=str(vae))]))
    assert failure.value.code == "model.other_vae"
    said = {"model": "x", "family": FAMILIES[family].name, "what": FAMILIES[other].vae}
    assert failure.value.params == said


def refusal(painter: Engine, family: str, vae: Path) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        paint(painter, ASKED, catalog([model("x", family, family=family, vae_path=str(vae))]))
    return failure.value


def test_what_is_no_vae_is_refused_by_name(painter: Engine, folders: Path, tmp_path: Path) -> None:
    checkpoint = single_file(folders / "sdxl", tmp_path / "whole.safetensors")
    lora = {f"lora_unet_a.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")}
    for file, what in (
        (write(tmp_path / "lora.safetensors", lora), "LoRA"),
        (checkpoint, "SDXL checkpoint"),
    ):
        failure = refusal(painter, "zimage", file)
        assert (failure.code, failure.params["what"]) == ("model.other_vae", what)


def configured(folder: Path, target: Path, **fields: Any) -> Path:
    """A copy of the VAE of a pipeline whose configuration says something else."""
    copy = Path(shutil.copytree(folder / VAE, target))
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("family", "fields", "what"),
    [
        ("zimage", {"scaling_factor": 1.5305, "shift_factor": 0.0609}, "VAE of SD 3"),
        ("zimage", {"latent_channels": 4}, KL_4),
        ("flux2", {"_class_name": "AutoencoderDC"}, "VAE of the class AutoencoderDC"),
        ("anima", {"_class_name": "AutoencoderKLWan"}, "VAE of the class AutoencoderKLWan"),
    ],
)
def test_a_configuration_of_another_vae_is_refused_by_name(
    painter: Engine, folders: Path, tmp_path: Path, family: str, fields: dict[str, Any], what: str
) -> None:
    failure = refusal(painter, family, configured(folders / family, tmp_path / "v", **fields))
    assert (failure.code, failure.params["what"]) == ("model.other_vae", what)


@pytest.mark.parametrize(
    ("family", "fields", "named"),
    mostly_long(
        [
            ("flux2", {"patch_size": [4, 4]}, "vae.patch_size"),
            ("zimage", {"act_fn": None}, "vae.act_fn"),
            ("anima", {"dim_mult": [1, 2]}, "vae.dim_mult"),
            ("sdxl", {"act_fn": "import os"}, "vae.act_fn"),
            ("sd15", {"quantization_config": {}}, "vae.quantization_config"),
        ],
        usual=1,
    ),
)
def test_a_configuration_that_does_not_fit_is_refused(
    painter: Engine, folders: Path, tmp_path: Path, family: str, fields: dict[str, Any], named: str
) -> None:
    failure = refusal(painter, family, configured(folders / family, tmp_path / "v", **fields))
    assert failure.code in {"model.configuration", "model.quantised"}
    if failure.code == "model.configuration":
        assert failure.params["field"] == named


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("zimage", {"scaling_factor": 0.18215, "shift_factor": None}),
        ("anima", {"latents_mean": [0.5] * 16, "latents_std": [2.0] * 16}),
        ("krea2", {"latents_mean": [0.5] * 16, "latents_std": [2.0] * 16}),
    ],
)
def test_the_scale_of_the_latents_is_the_models_own(
    painter: Engine, folders: Path, tmp_path: Path, family: str, fields: dict[str, Any]
) -> None:
    """It is what the denoiser was trained with; converters leave it out or guess it."""
    vae = configured(folders / family, tmp_path / "v", **fields)
    found, wanted = (
        paint(painter, ASKED, catalog([model("x", family, family=family, vae_path=path)]))
        for path in (str(vae), None)
    )
    assert digests(found) == digests(wanted)


@pytest.mark.parametrize("family", mostly_long(TINY, usual=["sd15", "flux2"]))
def test_a_single_file_that_is_not_as_wide_as_the_models_own_is_refused(
    painter: Engine, folders: Path, tmp_path: Path, family: str
) -> None:
    tensors = stored(folders / family, VAE)
    norm = (
        "decoder.norm_out.gamma" if family in {"anima", "krea2"} else "decoder.conv_norm_out.weight"
    )
    tensors[norm] = torch.cat([tensors[norm]] * 2)
    failure = refusal(painter, family, write(tmp_path / "wide.safetensors", tensors))
    assert failure.code == "model.unreadable"
    assert str(failure.params["reason"]).startswith(f"vae.{norm}: ")


def test_the_vae_of_flux2_with_a_smaller_decoder_brings_its_configuration(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    """As Black Forest Labs publish one."""
    from diffusers import AutoencoderKLFlux2

    small = AutoencoderKLFlux2.from_config(
        {
            **json.loads((folders / "flux2/vae/config.json").read_text(encoding="utf-8")),
            "decoder_block_out_channels": [4, 4, 8, 8],
        }
    )
    mixed = Path(shutil.copytree(folders / "flux2", tmp_path / "mixed"))
    small.save_pretrained(mixed / VAE)
    found, wanted = (
        paint(painter, ASKED, catalog([model("x", str(path), family="flux2", vae_path=vae)]))
        for path, vae in (("flux2", str(mixed / VAE)), (mixed, None))
    )
    assert digests(found) == digests(wanted)


_KL: Final[dict[str, Any]] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "layers_per_block": 2,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
_BARE: Final = {"use_quant_conv": False, "use_post_quant_conv": False}
TRUE: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "sdxl": ("vae-sd", _KL),
    "sd15": ("vae-sd", _KL),
    "flux2": ("vae-flux2", {}),
    "zimage": ("vae-flux1", {**_KL, **_BARE, "latent_channels": 16}),
    "anima": ("vae-qwen-image", {}),
    "chroma": ("vae-flux1", {**_KL, **_BARE, "latent_channels": 16}),
    "flux1": ("vae-flux1", {**_KL, **_BARE, "latent_channels": 16}),
    "krea2": ("vae-qwen-image", {}),
}
"""Family → the published VAE in tests/catalog/weight_files/headers, and its configuration."""


@pytest.mark.parametrize("spelling", ["", "-original"])
@pytest.mark.parametrize("family", mostly_long(TINY, usual=["sd15", "flux2"]))
def test_every_tensor_of_the_published_one_is_read(family: str, spelling: str) -> None:
    from bot.engine.families import FAMILIES as ENGINES

    published, config = TRUE[family]
    engine = ENGINES[family]
    module = engine.build(VAE, config)
    wanted = {name: tuple(each.shape) for name, each in module.named_parameters()}
    tensors = {
        name: torch.empty(shape, device="meta")
        for name, shape in shapes_of(published + spelling).items()
        if not engine.unread(VAE, name)
    }
    found = engine.renamed(VAE, module, tensors, wanted.keys())
    assert {name: tuple(each.shape) for name, each in found.items()} == wanted
