"""Published models are told apart by the names and shapes of their tensors."""

from pathlib import Path

import pytest

from catalog.weight_files import Header, adapter_facts, checkpoint_facts
from catalog.weight_files.autoencoders import KL_4, KL_16, KL_32, QWEN, autoencoder
from catalog.weight_files.layouts import USABLE
from catalog.weight_files.parts import model_kind
from tests.catalog.weight_files.headers import NAMES, shapes_of

WHAT = {
    "anima": "Cosmos transformer",
    "anima-original": "Anima transformer",
    "auraflow": "AuraFlow transformer",
    "chroma": "Chroma transformer",
    "cosmos": "Cosmos transformer",
    "flux1-dev": "Flux (dev) transformer",
    "flux1-dev-original": "Flux (dev) transformer",
    "flux1-schnell": "Flux (schnell) transformer",
    "flux1-schnell-original": "Flux (schnell) transformer",
    "flux2-dev": "FLUX.2 dev transformer",
    "flux2-dev-original": "FLUX.2 dev transformer",
    "flux2-klein-4b": "FLUX.2 klein 4B transformer",
    "flux2-klein-4b-original": "FLUX.2 klein 4B transformer",
    "flux2-klein-9b": "FLUX.2 klein 9B transformer",
    "flux2-klein-9b-original": "FLUX.2 klein 9B transformer",
    "hidream": "HiDream transformer",
    "hunyuan-video": "HunyuanVideo transformer",
    "ideogram4": "Ideogram transformer",
    "kolors": "Kolors UNet",
    "krea2": "Krea 2 transformer",
    "krea2-original": "Krea 2 transformer",
    "ltx-video": "LTX-Video transformer",
    "lumina2": "Lumina 2 transformer",
    "pixart": "PixArt transformer",
    "qwen-image": "Qwen-Image transformer",
    "sana": "Sana transformer",
    "sd15": "SD 1.5 UNet",
    "sd15-original": "SD 1.5 UNet",
    "sd2": "SD 2 UNet",
    "sd3": "SD 3 transformer",
    "sdxl": "SDXL UNet",
    "sdxl-original": "SDXL UNet",
    "vae-flux1": KL_16,
    "vae-flux1-original": KL_16,
    "vae-flux2": KL_32,
    "vae-flux2-original": KL_32,
    "vae-qwen-image": QWEN,
    "vae-qwen-image-layered": "VAE of Qwen-Image-Layered",
    "vae-qwen-image-layered-original": "VAE of Qwen-Image-Layered",
    "vae-qwen-image-original": QWEN,
    "vae-sd": KL_4,
    "vae-sd-original": KL_4,
    "vae-wan22": "VAE of Wan 2.2",
    "wan": "Wan transformer",
    "zimage": "Z-Image transformer",
    "zimage-original": "Z-Image transformer",
}


COMPLETED = (
    *("anima-original", "flux2-klein-4b", "flux2-klein-4b-original"),
    *("zimage", "zimage-original"),
    *("sd15", "sd15-original", "sdxl", "sdxl-original"),
)
"""These are completed by their configuration."""


def test_there_is_a_name_for_each() -> None:
    assert tuple(WHAT) == NAMES


VAES = tuple(name for name in NAMES if name.startswith("vae-"))


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
@pytest.mark.parametrize("name", VAES)
def test_a_published_vae_is_named_alone_and_inside(name: str, prefix: str) -> None:
    shapes = {f"{prefix}{tensor}": shape for tensor, shape in shapes_of(name).items()}
    assert model_kind(shapes) == WHAT[name]
    inside = {**shapes_of("flux1-dev-original"), **shapes}
    if prefix:
        assert autoencoder(inside) == WHAT[name]
        assert model_kind(inside) == "Flux (dev) checkpoint"
    header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
    facts = checkpoint_facts(Path("ae.safetensors"), header)
    refusal = facts.unfit(of=USABLE, config=True)
    assert refusal
    usable = "name it as vae_path of a model in models.toml instead"
    assert (refusal.advice == usable) == (WHAT[name] in {KL_4, KL_16, KL_32, QWEN})


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in VAES])
def test_a_published_model_is_named(name: str, prefix: str) -> None:
    shapes = {f"{prefix}{tensor}": shape for tensor, shape in shapes_of(name).items()}
    assert model_kind(shapes) == WHAT[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in VAES])
def test_whatever_cannot_be_used_is_refused_by_name(name: str) -> None:
    shapes = shapes_of(name)
    header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
    facts = checkpoint_facts(Path("x.safetensors"), header)
    refusal = facts.unfit(of=USABLE, config=True)
    assert (facts.model in USABLE) == (facts.model != "") == (name in COMPLETED)
    if name in COMPLETED:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.what.startswith(WHAT[name])
    assert (
        "checkpoints of SDXL, SD 1.5, FLUX.2 klein 4B, Z-Image and Anima can be used"
        in refusal.advice
    )


def lora(model: str, *parts: str) -> dict[str, tuple[int, ...]]:
    """A LoRA of rank 4 of the linear layers of that model whose names contain one of `parts`, under
    those names with underscores, as kohya's scripts write them."""
    made: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes_of(model).items():
        module = name.removesuffix(".weight")
        if len(shape) == 2 and module != name and any(part in name for part in parts):
            plain = f"lora_unet_{module.replace('.', '_')}"
            made[f"{plain}.lora_down.weight"] = (4, shape[1])
            made[f"{plain}.lora_up.weight"] = (shape[0], 4)
    assert made
    return made


@pytest.mark.parametrize(
    ("model", "parts", "base"),
    [
        ("flux1-dev-original", ("blocks.",), "Flux"),
        ("flux1-dev-original", ("img_attn",), "Flux"),
        ("flux1-dev-original", ("single_blocks.0.",), "Flux"),
        ("flux1-dev-original", ("double_blocks.0.img_mlp.0",), "Flux"),
        ("flux1-dev", ("blocks.",), "Flux"),
        ("sd15", ("attentions",), "SD 1.5"),
        ("sd2", ("attentions",), "SD 2"),
        ("sdxl", ("attentions",), "SDXL"),
    ],
)
def test_the_base_of_a_lora_is_told(model: str, parts: tuple[str, ...], base: str) -> None:
    facts = adapter_facts(lora(model, *parts), {})
    assert (facts.base, facts.certain) == (base, True)


def test_what_a_transformer_lacks_comes_with_its_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = "FLUX.2 klein 4B"
    monkeypatch.setattr("catalog.weight_files.checkpoint.ENCODERS", {model: None})
    shapes = shapes_of("flux2-klein-4b-original")
    header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
    facts = checkpoint_facts(Path("x.safetensors"), header)
    assert (facts.model, facts.what) == (model, f"{model} transformer")
    assert facts.unfit(of=[model], config=False) is None
