"""Published models are told apart by the names and shapes of their tensors."""

from pathlib import Path

import pytest

from catalog.families import FAMILIES, Family
from catalog.families.recognition import Shapes, Transformer
from catalog.families.vaes import KL_4, KL_16, KL_32, QWEN
from catalog.weight_files import Header, adapter_facts, checkpoint_facts
from catalog.weight_files.autoencoders import autoencoder
from catalog.weight_files.encoders import kind, text_encoder
from catalog.weight_files.layouts import USABLE
from catalog.weight_files.parts import model_kind
from catalog.weight_files.unet import unet
from tests.catalog.weight_files.headers import NAMES, shapes_of

WHAT = {
    "anima": "Cosmos transformer",
    "anima-original": "Anima transformer",
    "auraflow": "AuraFlow transformer",
    "chroma": "Chroma transformer",
    "chroma-original": "Chroma transformer",
    "controlnet-flux1": "ControlNet for FLUX.1",
    "controlnet-promax-sdxl": "ControlNet",
    "controlnet-qwen-image": "ControlNet for Qwen-Image",
    "controlnet-sd15": "ControlNet",
    "controlnet-sd15-original": "ControlNet",
    "controlnet-sd2": "ControlNet",
    "controlnet-sd2-original": "ControlNet",
    "controlnet-sd3": "ControlNet for SD 3",
    "controlnet-sdxl": "ControlNet",
    "controlnet-sdxl-small": "ControlNet",
    "controlnet-sparse": "ControlNet for video (SparseCtrl)",
    "controlnet-union-sdxl": "ControlNet",
    "controlnet-xs-sd15": "ControlNet-XS",
    "cosmos": "Cosmos transformer",
    "encoder-gemma3-4b": "text encoder (language model)",
    "encoder-qwen3-06b": "text encoder (Qwen3-0.6B)",
    "encoder-qwen3-06b-original": "text encoder (Qwen3-0.6B)",
    "encoder-qwen3-4b": "text encoder (Qwen3-4B)",
    "encoder-qwen3-4b-original": "text encoder (Qwen3-4B)",
    "encoder-qwen3-8b": "text encoder (Qwen3-8B)",
    "encoder-qwen3-8b-original": "text encoder (Qwen3-8B)",
    "encoder-qwen3-vl-4b": "text encoder (Qwen3-VL-4B)",
    "encoder-t5-xxl": "text encoder (T5-XXL)",
    "encoder-t5-xxl-original": "text encoder (T5-XXL)",
    "encoder-umt5-xxl": "text encoder (UMT5)",
    "flux1-dev": "FLUX.1 transformer",
    "flux1-dev-original": "FLUX.1 transformer",
    "flux1-schnell": "FLUX.1 transformer",
    "flux1-schnell-original": "FLUX.1 transformer",
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
    "t2i-adapter-light-sd15": "small T2I-Adapter (light)",
    "t2i-adapter-light-sd15-original": "small T2I-Adapter (light)",
    "t2i-adapter-sd15": "T2I-Adapter",
    "t2i-adapter-sd15-original": "T2I-Adapter",
    "t2i-adapter-sd15-sketch": "T2I-Adapter",
    "t2i-adapter-sd15-sketch-original": "T2I-Adapter",
    "t2i-adapter-sdxl": "T2I-Adapter",
    "t2i-adapter-sdxl-original": "T2I-Adapter",
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


def _own(family: Family, shapes: Shapes) -> str:
    """What a file with these tensors is if the family takes it for one of its models; else ""."""
    recognition = family.recognition
    if isinstance(recognition, Transformer):
        model = recognition.model("", shapes)
        return model and f"{model} transformer"
    found = unet(shapes)
    own = found and found.model in family.architectures and not found.task
    return f"{found} UNet" if own else ""


OWN = {
    name: what
    for name in NAMES
    for family in FAMILIES.values()
    if name.partition("-")[0] == family.key and (what := _own(family, shapes_of(name)))
}
"""Those of the families. They are completed by their configuration."""


def test_there_is_a_name_for_each() -> None:
    """Of a family that is new, its folder says how its models are called."""
    assert {*WHAT} <= {*NAMES} <= {*WHAT, *OWN}
    assert {**WHAT, **OWN} == {**OWN, **WHAT}


VAES = tuple(name for name in NAMES if name.startswith("vae-"))


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
@pytest.mark.parametrize("name", VAES)
def test_a_published_vae_is_named_alone_and_inside(name: str, prefix: str) -> None:
    shapes = {f"{prefix}{tensor}": shape for tensor, shape in shapes_of(name).items()}
    assert model_kind(shapes) == WHAT[name]
    inside = {**shapes_of("flux1-dev-original"), **shapes}
    if prefix:
        assert autoencoder(inside) == WHAT[name]
        assert model_kind(inside) == "FLUX.1 checkpoint"
    header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
    facts = checkpoint_facts(Path("ae.safetensors"), header)
    refusal = facts.unfit(of=USABLE, config=True)
    assert refusal
    usable = "name it as vae_path of a model in models.toml instead"
    assert (refusal.advice == usable) == (WHAT[name] in {KL_4, KL_16, KL_32, QWEN})


ENCODERS = tuple(name for name in NAMES if name.startswith("encoder-"))


@pytest.mark.parametrize("around", ["", "text_encoder.", "text_encoders.qwen3_4b.transformer."])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_published_text_encoder_is_named_alone_and_inside(name: str, around: str) -> None:
    shapes = {f"{around}{tensor}": shape for tensor, shape in shapes_of(name).items()}
    found = text_encoder(shapes, {})
    if name == "encoder-gemma3-4b":
        assert found is None
    else:
        assert found
        assert kind(found.name) == WHAT[name]
    inside = {**shapes_of("flux1-dev-original"), **shapes}
    if around:
        assert text_encoder(inside, {}) == found
        assert model_kind(inside) == "FLUX.1 checkpoint"
        return
    assert model_kind(shapes) == WHAT[name]
    header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
    refusal = checkpoint_facts(Path("x.safetensors"), header).unfit(of=USABLE, config=True)
    assert refusal
    usable = "name it as text_encoder_path of a model in models.toml instead"
    mine = {kind(family.encoder) for family in FAMILIES.values() if family.encoder}
    assert (refusal.advice == usable) == (WHAT[name] in mine)


@pytest.mark.parametrize(
    ("stated", "what"),
    [
        ("qwen3", "text encoder (Qwen3-4B)"),
        ("qwen3vl", "text encoder (Qwen3-VL-4B)"),
        ("olmo2", "text encoder (language model)"),
    ],
)
def test_of_tensors_that_are_alike_the_architecture_tells(stated: str, what: str) -> None:
    shapes = shapes_of("encoder-qwen3-4b-original")
    assert model_kind(shapes, {"general.architecture": stated}) == what


@pytest.mark.parametrize("foreign", ["blk.0.post_ffw_norm.weight", "blk.0.attn_q.bias"])
def test_a_language_model_with_more_in_its_layers_is_no_qwen3(foreign: str) -> None:
    shapes = {**shapes_of("encoder-qwen3-4b-original"), foreign: (2560,)}
    assert model_kind(shapes) == "text encoder (language model)"
    assert text_encoder(shapes, {}) is None


def test_one_of_another_size_is_not_named_after_it() -> None:
    shapes = {
        name: tuple(5120 if side == 2560 else side for side in shape)
        for name, shape in shapes_of("encoder-qwen3-4b").items()
    }
    assert model_kind(shapes) == "text encoder (Qwen3)"


CONTROLS = tuple(name for name in NAMES if name.startswith(("controlnet-", "t2i-adapter-")))


@pytest.mark.parametrize("name", CONTROLS)
def test_what_makes_a_model_follow_an_image_is_told_where_it_belongs(name: str) -> None:
    shapes = shapes_of(name)
    assert model_kind(shapes) == WHAT[name]
    header = Header(shapes, dict.fromkeys(shapes, "F16"), {}, {}, 0, {})
    refusal = checkpoint_facts(Path("x.safetensors"), header).unfit(of=USABLE, config=True)
    assert refusal
    assert refusal.what == WHAT[name]
    usable = WHAT[name] in {"ControlNet", "T2I-Adapter"}
    assert refusal.advice.startswith("move it to the folder controlnets") == usable


DENOISERS = tuple(name for name in NAMES if name not in {*VAES, *ENCODERS, *CONTROLS})


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", DENOISERS)
def test_a_published_model_is_named(name: str, prefix: str) -> None:
    shapes = {f"{prefix}{tensor}": shape for tensor, shape in shapes_of(name).items()}
    assert model_kind(shapes) == WHAT.get(name, OWN.get(name))


@pytest.mark.parametrize("name", DENOISERS)
def test_whatever_cannot_be_used_is_refused_by_name(name: str) -> None:
    shapes = shapes_of(name)
    header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
    facts = checkpoint_facts(Path("x.safetensors"), header)
    refusal = facts.unfit(of=USABLE, config=True)
    assert (facts.model in USABLE) == (facts.model != "") == (name in OWN)
    if name in OWN:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.what.startswith(WHAT[name])
    *first, last = (model for family in FAMILIES.values() for model in family.architectures)
    assert f"checkpoints of {', '.join(first)} and {last} can be used" in refusal.advice


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
        ("flux1-dev-original", ("blocks.",), "FLUX.1"),
        ("flux1-dev-original", ("img_attn",), "FLUX.1/Chroma"),
        ("flux1-dev-original", ("single_blocks.0.",), "FLUX.1"),
        ("flux1-dev-original", ("double_blocks.0.img_mlp.0",), "FLUX.1/Chroma"),
        ("chroma-original", ("blocks.",), "FLUX.1/Chroma"),
        ("chroma-original", ("",), "Chroma"),
        ("chroma", ("blocks.",), "FLUX.1/Chroma"),
        ("chroma", ("",), "Chroma"),
        ("flux1-dev", ("blocks.",), "FLUX.1"),
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
