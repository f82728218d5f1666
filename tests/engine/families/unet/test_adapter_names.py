"""Which module each name in a file refers to, in the true architectures."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.families.unet.true_models import TRUE
from tests.engine.patches import make
from tests.engine.patches.reading import refused
from tests.language import TEXTS

LINEAR_OR_CONVOLUTION = (torch.nn.Linear, torch.nn.Conv2d)


@pytest.fixture(scope="module")
def all_parts() -> dict[str, dict[str, Any]]:
    return {key: build() for key, build in TRUE.items()}


@pytest.fixture(scope="module")
def all_known(all_parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    from bot.engine.families import FAMILIES

    return {key: dict(FAMILIES[key].targets(parts)) for key, parts in all_parts.items()}


@pytest.fixture(params=TRUE)
def key(request: pytest.FixtureRequest) -> str:
    """Of a family."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def parts(all_parts: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    return all_parts[key]


@pytest.fixture
def known(all_known: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    return all_known[key]


@pytest.fixture
def sdxl(all_known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return all_known["sdxl"]


@pytest.fixture
def sd15(all_known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return all_known["sd15"]


def test_a_whole_lora_for_sd_15_is_told_as_such(sdxl: dict[str, Any], tmp_path: Path) -> None:
    """Although most of its names, and many of its shapes, are those of SDXL's modules too."""
    modules = make.sd15_modules()
    assert len(modules) == 264
    alike = [n for n, shape in modules.items() if n in sdxl and sdxl[n].shape[:2] == shape[:2]]
    assert 100 < len(alike) < sum(name in sdxl for name in modules) < 264
    failure = refused(make.file(tmp_path / "x.safetensors", "LoRA", modules, rank=1), sdxl)
    said = TEXTS.speaker("en-US")(failure.code, **failure.params)
    assert said == "The LoRA tested was made for SD 1.5: none of its 264 modules fit this model."


USUAL = {
    "sdxl": {"unet": 722, "text_encoder": 72, "text_encoder_2": 192},
    "sd15": {"unet": 192, "text_encoder": 72},
}
"""kohya's usual set: the Linears and 1×1 convolutions of the UNet's transformers, and the Linears
of the text encoders."""


def test_every_module_that_trainers_change_has_names_of_its_own(
    key: str, parts: dict[str, Any], known: dict[str, Any]
) -> None:
    counts = {}
    for part, model in parts.items():
        inside = "attentions" if part == "unet" else "encoder.layers"
        paths = {
            path
            for path, module in model.named_modules()
            if isinstance(module, LINEAR_OR_CONVOLUTION) and inside in path
        }
        counts[part] = len(paths)
        names = Counter(target.path for target in known.values() if target.part == part)
        assert all(names[path] >= 5 for path in paths)
    assert counts == USUAL[key]


def test_the_usual_file_has_986_modules(key: str, known: dict[str, Any]) -> None:
    """For SDXL; for SD 1.5, 264."""
    assert len(make.usual_modules(known)) == sum(USUAL[key].values())
    convolutions = make.usual_modules(known, convolutions=True)
    assert convolutions["lora_unet_down_blocks_0_resnets_0_conv1"] == (320, 320, 3, 3)
    assert set(map(len, convolutions.values())) == {2, 4}


def test_the_usual_modules_of_sd_15_are_those_of_its_files(sd15: dict[str, Any]) -> None:
    modules = make.sd15_modules()
    assert {name: sd15[name].shape for name in modules} == modules


def test_no_name_means_two_modules(key: str, parts: dict[str, Any], known: dict[str, Any]) -> None:
    from bot.engine.families import clip
    from bot.engine.families.sd15.networks import ENCODERS as SD15
    from bot.engine.families.sdxl.networks import ENCODERS as SDXL
    from bot.engine.families.unet.adapter_names import Blocks, unet_names

    seen: dict[str, tuple[str, str]] = {}
    blocks = Blocks.of(parts["unet"])
    encoders = {each.network: each for each in {"sdxl": SDXL, "sd15": SD15}[key]}
    for target in set(known.values()):
        names = (
            unet_names(target.path, blocks)
            if target.part == "unet"
            else clip.names(target.path, encoders[target.part])
        )
        for name in names:
            where = (target.part, target.path)
            assert seen.setdefault(name, where) == where


def test_every_module_with_weights_is_known(parts: dict[str, Any], known: dict[str, Any]) -> None:
    paths = {(target.part, target.path): target for target in known.values()}
    for part, model in parts.items():
        for name, parameter in model.named_parameters():
            module, _, kind = name.rpartition(".")
            if "embeddings" in name or "embedding.weight" in name:
                continue
            target = paths[part, module]
            if kind == "weight":
                assert target.shape == tuple(parameter.shape)
            else:
                assert target.has_bias
    assert not paths["unet", "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"].has_bias


BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"
UNET_PAIRS = [
    # kohya with Stability's UNet, as most files on Civitai
    ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", f"{BLOCK}.attn1.to_q"),
    ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0", f"{BLOCK}.attn1.to_out.0"),
    ("lora_unet_input_blocks_0_0", "conv_in"),
    ("lora_unet_input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"),
    ("lora_unet_input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"),
    ("lora_unet_input_blocks_8_1_proj_in", "down_blocks.2.attentions.1.proj_in"),
    ("lora_unet_middle_block_1_proj_out", "mid_block.attentions.0.proj_out"),
    ("lora_unet_middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"),
    (
        "lora_unet_output_blocks_1_1_transformer_blocks_9_ff_net_0_proj",
        "up_blocks.0.attentions.1.transformer_blocks.9.ff.net.0.proj",
    ),
    ("lora_unet_output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"),
    ("lora_unet_output_blocks_8_0_in_layers_2", "up_blocks.2.resnets.2.conv1"),
    ("lora_unet_time_embed_0", "time_embedding.linear_1"),
    ("lora_unet_label_emb_0_2", "add_embedding.linear_2"),
    ("lora_unet_out_2", "conv_out"),
    # with diffusers' UNet
    (f"lora_unet_{BLOCK.replace('.', '_')}_attn2_to_k", f"{BLOCK}.attn2.to_k"),
    ("lora_unet_up_blocks_0_resnets_2_time_emb_proj", "up_blocks.0.resnets.2.time_emb_proj"),
    # norms of LyCORIS
    ("lora_unet_down_blocks_0_resnets_0_norm1", "down_blocks.0.resnets.0.norm1"),
    ("lora_unet_input_blocks_1_0_in_layers_0", "down_blocks.0.resnets.0.norm1"),
    ("lora_unet_out_0", "conv_norm_out"),
    # others
    (f"lycoris_{BLOCK.replace('.', '_')}_ff_net_2", f"{BLOCK}.ff.net.2"),
    (f"oft_unet_{BLOCK.replace('.', '_')}_attn1_to_v", f"{BLOCK}.attn1.to_v"),
    (f"unet.{BLOCK}.attn1.to_out.0", f"{BLOCK}.attn1.to_out.0"),
    (f"unet.{BLOCK}.attn1.processor.to_out", f"{BLOCK}.attn1.to_out.0"),
    (f"{BLOCK}.attn2.processor.to_k", f"{BLOCK}.attn2.to_k"),
    (f"{BLOCK}.attn2.to_k", f"{BLOCK}.attn2.to_k"),
    (
        "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q",
        f"{BLOCK}.attn1.to_q",
    ),
    ("unet.input_blocks.4.1.transformer_blocks.0.attn1.to_q", f"{BLOCK}.attn1.to_q"),
    (f"diffusion_model.{BLOCK}.attn1.to_q", f"{BLOCK}.attn1.to_q"),
]


@pytest.mark.parametrize(("name", "path"), UNET_PAIRS)
def test_names_of_the_unet(sdxl: dict[str, Any], name: str, path: str) -> None:
    assert (sdxl[name].part, sdxl[name].path) == ("unet", path)


FIRST = "down_blocks.0.attentions.0.transformer_blocks.0"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        # Stability's numbers, where SD 1.5 has other blocks than SDXL
        ("lora_unet_input_blocks_1_1_proj_in", "down_blocks.0.attentions.0.proj_in"),
        (f"lora_unet_{FIRST.replace('.', '_')}_attn1_to_q", f"{FIRST}.attn1.to_q"),
        ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", f"{FIRST}.attn1.to_q"),
        ("lora_unet_input_blocks_9_0_op", "down_blocks.2.downsamplers.0.conv"),
        ("lora_unet_input_blocks_11_0_in_layers_2", "down_blocks.3.resnets.1.conv1"),
        ("lora_unet_output_blocks_2_1_conv", "up_blocks.0.upsamplers.0.conv"),
        ("lora_unet_output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"),
        ("lora_unet_output_blocks_11_1_proj_out", "up_blocks.3.attentions.2.proj_out"),
        ("diffusion_model.output_blocks.2.1.conv", "up_blocks.0.upsamplers.0.conv"),
        (f"unet.{FIRST}.attn2.processor.to_out", f"{FIRST}.attn2.to_out.0"),
    ],
)
def test_names_of_the_unet_of_sd_15(sd15: dict[str, Any], name: str, path: str) -> None:
    assert (sd15[name].part, sd15[name].path) == ("unet", path)


LAYER = "encoder.layers.3"


@pytest.mark.parametrize(
    ("name", "part", "module"),
    [
        ("lora_te1_text_model_encoder_layers_3_self_attn_q_proj", 1, f"{LAYER}.self_attn.q_proj"),
        ("lora_te_text_model_encoder_layers_3_mlp_fc1", 1, f"{LAYER}.mlp.fc1"),
        ("lora_te1_encoder_layers_3_mlp_fc2", 1, f"{LAYER}.mlp.fc2"),
        (
            "lora_te2_text_model_encoder_layers_3_self_attn_out_proj",
            2,
            f"{LAYER}.self_attn.out_proj",
        ),
        ("lora_te2_encoder_layers_3_mlp_fc2", 2, f"{LAYER}.mlp.fc2"),
        ("lora_te2_text_model_final_layer_norm", 2, "final_layer_norm"),
        ("lora_te2_text_projection", 2, "text_projection"),
        ("text_encoder.text_model.encoder.layers.3.mlp.fc1", 1, f"{LAYER}.mlp.fc1"),
        ("text_encoder.text_model.encoder.layers.3.self_attn.to_q", 1, f"{LAYER}.self_attn.q_proj"),
        ("text_encoder_2.text_model.encoder.layers.3.mlp.fc1", 2, f"{LAYER}.mlp.fc1"),
        ("text_encoder_2.text_projection", 2, "text_projection"),
        ("clip_l.text_model.encoder.layers.3.mlp.fc1", 1, f"{LAYER}.mlp.fc1"),
        ("clip_g.text_model.encoder.layers.3.mlp.fc1", 2, f"{LAYER}.mlp.fc1"),
        (
            "text_encoders.clip_g.transformer.text_model.encoder.layers.3.mlp.fc1",
            2,
            f"{LAYER}.mlp.fc1",
        ),
    ],
)
def test_names_of_the_text_encoders(
    all_known: dict[str, dict[str, Any]],
    all_parts: dict[str, dict[str, Any]],
    name: str,
    part: int,
    module: str,
) -> None:
    """transformers 5 has no `text_model.` in CLIPTextModel, and has one with a projection."""
    target, parts = all_known["sdxl"][name], all_parts["sdxl"]
    assert target.part == ("text_encoder" if part == 1 else "text_encoder_2")
    assert target.path.removeprefix("text_model.") == module
    assert parts[target.part].get_submodule(target.path).weight.shape == target.shape
    assert target.path.startswith("text_model.") == (part == 2 and module != "text_projection")


@pytest.mark.parametrize(
    "name",
    [
        *("lora_te_text_model_encoder_layers_3_mlp_fc1", "lora_te1_encoder_layers_3_mlp_fc1"),
        *("text_encoder.text_model.encoder.layers.3.mlp.fc1", "clip_l.encoder.layers.3.mlp.fc1"),
        "text_encoders.clip_l.transformer.text_model.encoder.layers.3.mlp.fc1",
        "cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1",
    ],
)
def test_names_of_the_text_encoder_of_sd_15(sd15: dict[str, Any], name: str) -> None:
    target = sd15[name]
    assert (target.part, target.path.removeprefix("text_model.")) == (
        "text_encoder",
        "encoder.layers.3.mlp.fc1",
    )
