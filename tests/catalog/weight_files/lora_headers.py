"""Headers of LoRAs, and what they tell."""

from collections.abc import Mapping
from typing import Any

from catalog.weight_files import adapter_facts

Shapes = dict[str, tuple[int, ...]]
SGM = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
SD15 = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
PEFT = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
FF = "lora_unet_input_blocks_4_1_transformer_blocks_0_ff_net_2"


def lora(module: str, rank: int, out: int, width: int) -> Shapes:
    return {
        f"{module}.lora_down.weight": (rank, width),
        f"{module}.lora_up.weight": (out, rank),
        f"{module}.alpha": (),
    }


def told(shapes: Mapping[str, tuple[int, ...]], **metadata: str) -> tuple[Any, ...]:
    facts = adapter_facts(shapes, metadata)
    return facts.algorithm, facts.base, facts.certain, facts.rank, facts.conv_rank
