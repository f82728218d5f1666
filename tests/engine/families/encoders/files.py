"""Text encoders of tiny models, in the files that circulate."""

import shutil
from pathlib import Path
from typing import Final

import torch

from catalog.families import FAMILIES, TEXT_ENCODER
from tests.engine.factories import request
from tests.engine.families.anima.files import authors as of_anima
from tests.engine.families.flux2.files import Tensors, below, stored, write
from tests.gguf_files import plain, written
from tools.headers.original_names import RENAMED

READING: Final = tuple(key for key, family in FAMILIES.items() if family.encoder)
ASKED: Final = request(model="x", guidance=1.0, steps=1)
LAYOUTS: Final = (
    *("folder", "pipeline", "file", "file of the bare model", "file with a head"),
    *("file of llama.cpp", "file of llama.cpp in a folder", "inside another"),
)
EMBEDDINGS_OF_T5: Final = "shared.weight"
_LLAMA: Final = (
    ("model.language_model.", "model."),
    ("model.layers.", "blk."),
    ("model.embed_tokens.", "token_embd."),
    ("model.norm.", "output_norm."),
    ("post_attention_layernorm.", "ffn_norm."),
    ("input_layernorm.", "attn_norm."),
    ("self_attn.o_proj.", "attn_output."),
    *((f"self_attn.{each}_proj.", f"attn_{each}.") for each in "qkv"),
    *((f"self_attn.{each}_norm.", f"attn_{each}_norm.") for each in "qk"),
    *((f"mlp.{each}_proj.", f"ffn_{each}.") for each in ("gate", "up", "down")),
)


def stated(tensors: Tensors) -> dict[str, str]:
    """What a file of llama.cpp with this model says about it."""
    if EMBEDDINGS_OF_T5 in tensors:
        return {"general.architecture": "t5encoder"}
    vision = any(".language_model." in name for name in tensors)
    return {"general.architecture": "qwen3vl" if vision else "qwen3"}


def of_llama(tensors: Tensors) -> Tensors:
    """A text encoder of transformers in the names of llama.cpp, which has what reads images in
    another file."""
    if EMBEDDINGS_OF_T5 in tensors:
        renamed = RENAMED["encoder-t5-xxl"]
        return {next(iter(renamed({name: ()}))): tensor for name, tensor in tensors.items()}
    found = {}
    for name, tensor in tensors.items():
        if ".visual." in name:
            continue
        for theirs, own in _LLAMA:
            name = name.replace(theirs, own)
        found[name] = tensor
    return found


def embeddings_of(tensors: Tensors) -> str:
    """The name of a text encoder's embeddings of tokens."""
    ends = (EMBEDDINGS_OF_T5, "model.embed_tokens.weight", "language_model.embed_tokens.weight")
    return next(name for name in tensors if name.endswith(ends))


def causal(folder: Path) -> Tensors:
    """The text encoder of the pipeline in a folder, in the names that files of Qwen3 or T5 have."""
    tensors = stored(folder, TEXT_ENCODER)
    if EMBEDDINGS_OF_T5 in tensors:
        return tensors
    return {f"model.{name.removeprefix('model.')}": tensor for name, tensor in tensors.items()}


def spelt(layout: str, folder: Path, tmp_path: Path) -> Path:
    """The text encoder of the pipeline in `folder` as `text_encoder_path` names it."""
    file, tensors = tmp_path / "qwen_3.safetensors", causal(folder)
    match layout:
        case "folder":
            return Path(shutil.copytree(folder / TEXT_ENCODER, tmp_path / "alone"))
        case "pipeline":
            return folder
        case "file":
            return write(file, tensors)
        case "file of the bare model":
            return write(file, {n.removeprefix("model."): t for n, t in tensors.items()})
        case "file with a head":
            ends = (
                EMBEDDINGS_OF_T5,
                "model.embed_tokens.weight",
                "language_model.embed_tokens.weight",
            )
            words = next(each for name, each in tensors.items() if name.endswith(ends))
            head = {"lm_head.weight": words.clone()}
            return write(file, {**tensors, **head})
        case "file of llama.cpp":
            packed = {name: plain(tensor) for name, tensor in of_llama(tensors).items()}
            return written(tmp_path / "Qwen3-F32.gguf", packed, metadata=stated(tensors))
        case "file of llama.cpp in a folder":
            inside = tmp_path / "Qwen3-GGUF"
            inside.mkdir()
            shutil.copy(folder / TEXT_ENCODER / "config.json", inside)
            spelt("file of llama.cpp", folder, inside)
            return inside
        case _:
            flux = {"double_blocks.0.img_attn.qkv.weight": torch.zeros(9, 3)}
            return write(file, {**flux, **below("text_encoder.", tensors)})


def alone(family: str, folder: Path, target: Path) -> Path:
    """The transformer of a model as a file of its own."""
    tensors = stored(folder, "transformer")
    if family == "anima":
        tensors = of_anima(tensors, stored(folder, "text_conditioner"))
    return write(target, tensors)
