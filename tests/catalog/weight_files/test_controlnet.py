"""What the file of a ControlNet says about itself, in every published layout."""

import pytest

from catalog import ControlNetFacts
from catalog.control_types import OF_UNIONS
from catalog.weight_files import Header, HeaderError, controlnet_facts
from tests.catalog.weight_files.headers import NAMES, shapes_of

SIX, EIGHT = OF_UNIONS[6], OF_UNIONS[8]
FACTS = {
    "controlnet-promax-sdxl": ControlNetFacts("union", "sdxl", EIGHT),
    "controlnet-sd15": ControlNetFacts("controlnet", "sd15"),
    "controlnet-sd15-original": ControlNetFacts("controlnet", "sd15"),
    "controlnet-sdxl": ControlNetFacts("controlnet", "sdxl"),
    "controlnet-sdxl-small": ControlNetFacts("controlnet", "sdxl"),
    "controlnet-union-sdxl": ControlNetFacts("union", "sdxl", SIX),
    "t2i-adapter-sd15": ControlNetFacts("t2i_adapter", "sd15"),
    "t2i-adapter-sd15-original": ControlNetFacts("t2i_adapter", "sd15"),
    "t2i-adapter-sd15-sketch": ControlNetFacts("t2i_adapter", "sd15"),
    "t2i-adapter-sd15-sketch-original": ControlNetFacts("t2i_adapter", "sd15"),
    "t2i-adapter-sdxl": ControlNetFacts("t2i_adapter", "sdxl"),
    "t2i-adapter-sdxl-original": ControlNetFacts("t2i_adapter", "sdxl"),
}
REFUSED = {
    "controlnet-flux1": "it is a ControlNet for FLUX.1, which cannot be used",
    "controlnet-qwen-image": "it is a ControlNet for Qwen-Image, which cannot be used",
    "controlnet-sd2": "it is a ControlNet for SD 2 models, which cannot be used",
    "controlnet-sd2-original": "it is a ControlNet for SD 2 models, which cannot be used",
    "controlnet-sd3": "it is a ControlNet for SD 3, which cannot be used",
    "controlnet-sparse": "it is a ControlNet for video (SparseCtrl), which cannot be used",
    "controlnet-xs-sd15": "it is a ControlNet-XS, which cannot be used",
    "flux1-dev": "it is a FLUX.1 transformer, not a ControlNet",
    "sdxl-original": "it is an SDXL UNet, not a ControlNet",
    "t2i-adapter-light-sd15": "it is a small T2I-Adapter (light), which cannot be used",
    "t2i-adapter-light-sd15-original": "it is a small T2I-Adapter (light), which cannot be used",
    "vae-sd": "not a ControlNet",
}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "hint": {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)},
    "latents": {"conv_in.weight": (320, 4, 3, 3)},
    "attention": {"mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": (1280, 2048)},
    "sizes": {"add_embedding.linear_1.weight": (1280, 2816)},
}


def header(shapes: dict[str, tuple[int, ...]], dtype: str = "F16") -> Header:
    return Header(shapes, dict.fromkeys(shapes, dtype), {}, {}, 0, {})


def sdxl(**changes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    parts = {**SHAPES, **changes}
    return {name: shape for part in parts.values() for name, shape in part.items()}


def reason(shapes: dict[str, tuple[int, ...]], dtype: str = "F16") -> str:
    with pytest.raises(HeaderError) as refusal:
        controlnet_facts(header(shapes, dtype))
    return str(refusal.value)


def test_every_published_one_is_looked_at() -> None:
    controls = {name for name in NAMES if name.startswith(("controlnet-", "t2i-adapter-"))}
    assert controls <= FACTS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", FACTS)
def test_kind_and_family_are_told(name: str) -> None:
    assert controlnet_facts(header(shapes_of(name))) == FACTS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_another_is_refused_by_its_name(name: str) -> None:
    assert REFUSED[name] in reason(shapes_of(name))


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"lora_controlnet": (0,), "input_hint_block.0.weight": (16, 3, 3, 3)}, "a ControlLoRA"),
        ({"zero_convs.0.0.up": (320, 256), "input_hint_block.0.weight": (1,)}, "a ControlLoRA"),
        ({"lllite_unet_input_blocks_4_1.up.0.weight": (1, 1)}, "a ControlNet-LLLite"),
        ({"control_layers.0.attention.to_q.weight": (1, 1)}, "a ControlNet for Z-Image"),
        ({"lora_unet_x.lora_down.weight": (4, 4), "lora_unet_x.lora_up.weight": (4, 4)}, "a LoRA"),
        ({"image_proj.proj.weight": (1, 1)}, "an IP-Adapter, not a ControlNet"),
        ({"conv_first.weight": (64, 3, 3, 3)}, "an upscaler, not a ControlNet"),
        ({"t": (1,)}, "it has the tensors of no ControlNet or T2I-Adapter known here"),
        (sdxl(latents={"conv_in.weight": (320, 9, 3, 3)}), "latents of 9 channels; allowed are 4"),
        (sdxl(hint={"input_hint_block.0.weight": (16, 6, 3, 3)}), "images of 6 channels"),
        (sdxl(sizes={"add_embedding.linear_1.weight": (1280, 5632)}), "for Kolors models"),
        (sdxl(more={"encoder_hid_proj.weight": (2048, 4096)}), "for Kolors models"),
        (
            sdxl(more={"task_embedding": (7, 320), "control_add_embedding.linear_1.weight": (1,)}),
            "it is a union of 7 kinds of maps; known are those of 6 and 8",
        ),
        (
            {"conv_in.weight": (320, 100, 3, 3), "body.0.block1.weight": (320, 320, 3, 3)},
            "a T2I-Adapter whose first layer takes 100 channels",
        ),
    ],
)
def test_what_cannot_be_used_says_why(shapes: dict[str, tuple[int, ...]], said: str) -> None:
    assert said in reason(shapes)


def test_the_few_tensors_above_are_those_of_one_that_can() -> None:
    assert controlnet_facts(header(sdxl())) == ControlNetFacts("controlnet", "sdxl")


def test_quantised_weights_are_refused() -> None:
    assert "its weights cannot be read" in reason(sdxl(), "I8")
    scaled = {**sdxl(), "conv_in.scale_weight": (1,)}
    said = Header(scaled, dict.fromkeys(scaled, "F8_E4M3"), {}, {}, 0, {})
    said.dtypes["conv_in.scale_weight"] = "F32"  # type: ignore[index]
    with pytest.raises(HeaderError, match="they are scaled 8-bit floats"):
        controlnet_facts(said)


def test_a_narrow_one_is_told_as_its_family_is() -> None:
    """As the demo's, and those of tests."""
    narrow = sdxl(
        attention={"mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": (88, 112)},
        sizes={"add_embedding.linear_1.weight": (256, 96)},
    )
    assert controlnet_facts(header(narrow)).family == "sdxl"
    del narrow["add_embedding.linear_1.weight"]
    assert controlnet_facts(header(narrow)).family == "sd15"
