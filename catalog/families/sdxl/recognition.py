"""Which files are of Stable Diffusion XL."""

from itertools import count
from typing import Final

from catalog.families.recognition import BaseNames, Shapes, UNet
from catalog.families.unet import BLOCKS, SD1_CONTEXT, SD2_CONTEXT

SDXL_MODEL: Final = "SDXL"
"""What its models and the base of its adapters are called."""
SDXL_OFFSPRING: Final = ("Pony", "Illustrious", "NoobAI")
"""Models trained so far from SDXL that their adapters work best with them."""

_CONTEXT: Final = 2048
# Layers of its deepest blocks, in Stability's names and in diffusers'.
_DEEP: Final = ("input_blocks.8.1.", "down_blocks.2.attentions.1.")
_SHALLOW: Final = ("input_blocks.5.1.", "down_blocks.2.attentions.0.")
_PRUNED: Final = {4: ("SSD-1B", "segmind/SSD-1B"), 2: ("Segmind-Vega", "segmind/Segmind-Vega")}
"""Transformer blocks in the deepest layer, 10 in SDXL itself → model, hub id."""
_KOALA: Final = (5, 6)

# Names are matched with `_` for every dot, each preceded by a line break.
_DEEPER: Final = "_transformer_blocks_1_"
_OWN: Final = ("add_embedding_", "label_emb_", "\nlora_te2_", "\ntext_encoder_2_")
"""What embeds the sizes, and the second text encoder. Where that is a T5, a transformer's family
or `dit_adapters` has said so before."""


def _owns(context: int, sizes: int) -> bool:
    return sizes > 0 and context not in {SD1_CONTEXT, SD2_CONTEXT}


def _adapter_base(names: str, _: bool) -> str:
    marks = (_DEEPER, *_OWN) if any(block in names for block in BLOCKS) else _OWN
    return SDXL_MODEL if any(mark in names for mark in marks) else ""


def _smaller(prefix: str, shapes: Shapes) -> tuple[str, str]:
    deep, shallow = (
        max(_depth(f"{prefix}{block}transformer_blocks.", shapes) for block in blocks)
        for blocks in (_DEEP, _SHALLOW)
    )
    if not deep and shallow in _KOALA:
        return "KOALA", "etri-vilab/koala-700m-llava-cap"
    return _PRUNED.get(deep, ("", ""))


def _depth(prefix: str, shapes: Shapes) -> int:
    """How many transformer blocks there are below `prefix`."""
    return next(n for n in count() if f"{prefix}{n}.norm1.weight" not in shapes)


RECOGNITION: Final = UNet(
    context=_CONTEXT,
    owns=_owns,
    pipelines="StableDiffusionXL",
    encoders=(
        ("conditioner.embedders.0.", "conditioner.embedders.1."),
        ("text_encoder.", "text_encoder_2."),
        ("text_encoders.clip_l.", "text_encoders.clip_g."),
    ),
    embeddings=(768, 1280),
    smaller=_smaller,
    adapter_base=_adapter_base,
    base_names=BaseNames(
        bases=(("stablediffusionxl", SDXL_MODEL), ("sdxl", SDXL_MODEL), ("animagine", SDXL_MODEL)),
        # The numbers are Civitai's, whose trainer writes nothing else.
        checkpoints=(
            ("noob", "NoobAI"),
            ("illustrious", "Illustrious"),
            ("889818safetensors", "Illustrious"),
            ("pony", "Pony"),
            ("290640safetensors", "Pony"),
            ("sdxl", SDXL_MODEL),
        ),
        offspring=(("noob", "NoobAI"), ("illustrious", "Illustrious"), ("pony", "Pony")),
    ),
)
