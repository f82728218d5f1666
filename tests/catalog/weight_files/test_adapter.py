"""Recognising adapters from the tensors that trainers write."""

from typing import Any

import pytest

from catalog.weight_files import SUPPORTED, UNKNOWN, UNSUPPORTED
from tests.catalog.weight_files.lora_headers import FF, PEFT, SD15, SGM, Shapes, lora, told

DIFFUSERS = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
CONV: Shapes = {
    "lora_unet_input_blocks_4_0_in_layers_2.lora_down.weight": (8, 320, 3, 3),
    "lora_unet_input_blocks_4_0_in_layers_2.lora_up.weight": (640, 8, 1, 1),
    "lora_unet_input_blocks_4_0_in_layers_2.alpha": (),
}
LORAS: dict[str, tuple[Shapes, tuple[Any, ...]]] = {
    "kohya, SDXL in the original names": (
        lora(SGM, 32, 640, 2048) | lora(FF, 32, 640, 2560),
        ("LoRA", "SDXL", True, 32, None),
    ),
    "kohya, SDXL in diffusers' names": (
        lora(DIFFUSERS, 16, 640, 2048),
        ("LoRA", "SDXL", True, 16, None),
    ),
    "kohya, SD 1.5": (lora(SD15, 128, 320, 768), ("LoRA", "SD 1.5", True, 128, None)),
    "kohya, SD 1.5 with proj_in as a 1×1 convolution": (
        lora(SD15, 4, 320, 768)
        | {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 320, 1, 1)},
        ("LoRA", "SD 1.5", True, 4, None),
    ),
    "kohya, SD 2": (lora(SD15, 4, 320, 1024), ("LoRA", "SD 2", True, 4, None)),
    "kohya, the refiner": (lora(DIFFUSERS, 4, 768, 1280), ("LoRA", "SDXL refiner", True, 4, None)),
    "kohya, Flux": (
        lora("lora_unet_double_blocks_0_img_attn_qkv", 16, 9216, 3072)
        | lora("lora_te1_text_model_encoder_layers_0_mlp_fc1", 16, 3072, 768),
        ("LoRA", "FLUX.1", True, 16, None),
    ),
    "kohya, SD 3": (
        lora("lora_unet_joint_blocks_0_context_block_attn_qkv", 4, 4608, 1536)
        | lora("lora_te2_text_model_encoder_layers_0_mlp_fc1", 4, 5120, 1280),
        ("LoRA", "SD 3", True, 4, None),
    ),
    "diffusers, SD 3.5 Large": (
        {
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": (16, 2432),
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_B.weight": (2432, 16),
        },
        ("LoRA", "SD 3", True, 16, None),
    ),
    "diffusers, Qwen-Image, whose names are those of SD 3": (
        {
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": (16, 3072),
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_B.weight": (3072, 16),
        },
        ("LoRA", "DiT", True, 16, None),
    ),
    "kohya, SDXL's text encoders alone": (
        lora("lora_te2_text_model_encoder_layers_0_mlp_fc1", 8, 5120, 1280),
        ("LoRA", "SDXL", True, 8, None),
    ),
    "kohya, SDXL without its cross-attention": (
        lora("lora_unet_middle_block_1_transformer_blocks_9_attn1_to_q", 8, 1280, 1280)
        | lora("lora_unet_output_blocks_0_1_transformer_blocks_1_ff_net_2", 8, 1280, 5120)
        | lora("lora_unet_input_blocks_8_1_transformer_blocks_1_attn1_to_q", 8, 1280, 1280),
        ("LoRA", "SDXL", True, 8, None),
    ),
    "kohya, SD 1.5 without its cross-attention": (
        lora("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 8, 320, 320),
        ("LoRA", "SD 1.5/2", True, 8, None),
    ),
    "diffusers and peft, SDXL": (
        {f"{PEFT}.lora_A.weight": (64, 2048), f"{PEFT}.lora_B.weight": (640, 64)},
        ("LoRA", "SDXL", True, 64, None),
    ),
    "peft with the name of the adapter": (
        {f"{PEFT}.lora_A.default.weight": (64, 768), f"{PEFT}.lora_B.default.weight": (320, 64)},
        ("LoRA", "SD 1.5", True, 64, None),
    ),
    "diffusers, the first form": (
        {
            f"{PEFT.removesuffix('.to_k')}.processor.to_k_lora.down.weight": (4, 768),
            f"{PEFT.removesuffix('.to_k')}.processor.to_k_lora.up.weight": (320, 4),
        },
        ("LoRA", "SD 1.5", True, 4, None),
    ),
    "diffusers, Flux": (
        {
            "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (16, 3072),
            "transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight": (3072, 16),
        },
        ("LoRA", "FLUX.1/Chroma", True, 16, None),
    ),
    "diffusers, LTX, whose text is as wide as SDXL's": (
        {"transformer.transformer_blocks.0.attn2.to_k.lora_A.weight": (16, 2048)},
        ("LoRA", "DiT", True, 16, None),
    ),
    "OneTrainer, SDXL": (
        lora(SGM, 16, 640, 2048)
        | lora("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 16, 768, 768)
        | {"bundle_emb.ink.clip_g": (2, 1280), "bundle_emb.ink.clip_l": (2, 768)},
        ("LoRA", "SDXL", True, 16, None),
    ),
    "ai-toolkit, SDXL": (
        lora(SGM, 16, 640, 2048) | {"clip_g": (2, 1280), "clip_l": (2, 768)},
        ("LoRA", "SDXL", True, 16, None),
    ),
    "LyCORIS, LoCon": (
        lora(SGM, 32, 640, 2048) | CONV,
        ("LoCon", "SDXL", True, 32, 8),
    ),
    "LyCORIS, LoCon in Tucker's form": (
        lora(SGM, 32, 640, 2048)
        | lora(FF, 32, 640, 2560)
        | {
            "lora_unet_input_blocks_4_0_in_layers_2.lora_down.weight": (8, 320, 1, 1),
            "lora_unet_input_blocks_4_0_in_layers_2.lora_mid.weight": (8, 8, 3, 3),
        },
        ("LoCon", "SDXL", True, 32, 8),
    ),
    "kohya, DoRA": (
        lora(SGM, 32, 640, 2048) | {f"{SGM}.dora_scale": (1, 2048)},
        ("DoRA", "SDXL", True, 32, None),
    ),
    "peft, DoRA": (
        {f"{PEFT}.lora_A.weight": (8, 2048), f"{PEFT}.lora_magnitude_vector": (640,)},
        ("DoRA", "SDXL", True, 8, None),
    ),
    "LyCORIS, DoRA with convolutions": (
        lora(SGM, 32, 640, 2048) | {f"{SGM}.dora_scale": (1, 2048)} | CONV,
        ("LoCon + DoRA", "SDXL", True, 32, 8),
    ),
    "LyCORIS, LoHa": (
        {
            f"{SGM}.hada_w1_a": (640, 8),
            f"{SGM}.hada_w1_b": (8, 2048),
            f"{SGM}.hada_w2_a": (640, 8),
            f"{SGM}.hada_w2_b": (8, 2048),
            f"{SGM}.alpha": (),
        },
        ("LoHa", "SDXL", True, 8, None),
    ),
    "LyCORIS, LoKr with one factor whole": (
        {
            f"{SGM}.lokr_w1": (8, 16),
            f"{SGM}.lokr_w2_a": (80, 4),
            f"{SGM}.lokr_w2_b": (4, 128),
        },
        ("LoKr", "SDXL", True, 4, None),
    ),
    "LyCORIS, LoKr with both whole": (
        {f"{SD15}.lokr_w1": (8, 8), f"{SD15}.lokr_w2": (40, 96)},
        ("LoKr", "SD 1.5", True, None, None),
    ),
    "LyCORIS, full with norms": (
        {
            f"{SGM}.diff": (640, 2048),
            f"{SGM}.diff_b": (640,),
            "lora_unet_input_blocks_4_1_norm.w_norm": (640,),
            "lora_unet_input_blocks_4_1_norm.b_norm": (640,),
        },
        ("full + norm", "SDXL", True, None, None),
    ),
    "LyCORIS, GLoRA": (
        {
            f"{SGM}.a1.weight": (2048, 8),
            f"{SGM}.a2.weight": (8, 2048),
            f"{SGM}.b1.weight": (640, 8),
            f"{SGM}.b2.weight": (8, 2048),
        },
        ("GLoRA", "SDXL", True, 8, None),
    ),
    "LyCORIS, GLoRA as it was once written": (
        {
            f"{SGM}.a1.weight": (8, 2048),
            f"{SGM}.a2.weight": (2048, 8),
            f"{SGM}.b1.weight": (8, 2048),
            f"{SGM}.b2.weight": (640, 8),
        },
        ("GLoRA", "SDXL", True, 8, None),
    ),
    "LyCORIS, Diag-OFT": (
        {f"{SD15}.oft_blocks": (80, 4, 4)},
        ("Diag-OFT", "SD 1.5/2", True, None, None),
    ),
    "LyCORIS, BOFT": (
        {f"{SGM.replace('blocks_0', 'blocks_1')}.oft_blocks": (2, 80, 8, 8)},
        ("BOFT", "SDXL", True, None, None),
    ),
    "LyCORIS, (IA)³": (
        {f"{SGM}.weight": (640, 1), f"{SGM}.on_input": ()},
        ("(IA)³", "", False, None, None),
    ),
    "kohya, DyLoRA as it is trained": (
        {f"{SGM}.lora_A.{n}": (1, 2048) for n in range(4)},
        ("DyLoRA", "", False, None, None),
    ),
    "LyCORIS, DyLoRA as it is trained": (
        {f"{SGM}.up_list.0": (640, 4), f"{SGM}.down_list.0": (4, 2048)},
        ("DyLoRA", "", False, None, None),
    ),
    "Stability's ControlLoRA": (
        {
            "input_blocks.4.1.transformer_blocks.0.attn2.to_k.down": (128, 2048),
            "input_blocks.4.1.transformer_blocks.0.attn2.to_k.up": (640, 128),
            "input_hint_block.0.weight": (16, 3, 3, 3),
            "label_emb.0.0.down": (128, 2816),
            "lora_controlnet": (0,),
        },
        ("ControlLoRA", "SDXL", True, None, None),
    ),
    "a textual inversion for SDXL": (
        {"clip_g": (4, 1280), "clip_l": (4, 768)},
        ("textual inversion", "", False, None, None),
    ),
    "a textual inversion for SD 1.5": (
        {"emb_params": (4, 768)},
        ("textual inversion", "", False, None, None),
    ),
    "a checkpoint": (
        {"model.diffusion_model.out.2.weight": (4, 320, 3, 3)},
        (UNKNOWN, "", False, None, None),
    ),
    "no tensor of ours": ({"t": (1,)}, (UNKNOWN, "", False, None, None)),
}


@pytest.mark.parametrize(("shapes", "expected"), LORAS.values(), ids=LORAS.keys())
def test_what_the_tensors_tell(shapes: Shapes, expected: tuple[Any, ...]) -> None:
    assert told(shapes) == expected


def test_every_algorithm_is_told_by_some_file() -> None:
    algorithms = {expected[0] for _, expected in LORAS.values()}
    told = {part for found in algorithms for part in found.split(" + ")}
    assert told - {*UNSUPPORTED} == {*SUPPORTED, UNKNOWN}


def test_the_most_common_rank_counts() -> None:
    shapes = lora(SGM, 8, 640, 2048) | lora(FF, 32, 640, 2560) | lora(f"{FF}x", 32, 640, 2560)
    assert told(shapes)[3] == 32
