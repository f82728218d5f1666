"""The files that a tiny Chroma circulates in, made from its diffusers folder."""

from collections import defaultdict
from collections.abc import Mapping

import torch

from tests.engine.families.flux2.files import Tensors
from tools.headers.original_names import RENAMED


def theirs(name: str) -> str:
    """The name of a tensor in the authors' own files; several may have one."""
    (renamed,) = RENAMED["chroma"]({name: (1,)})
    return renamed


def authors(transformer: Mapping[str, torch.Tensor]) -> Tensors:
    """A transformer of diffusers in the names of the authors' own files."""
    pieces: dict[str, list[tuple[int, torch.Tensor]]] = defaultdict(list)
    for name, tensor in transformer.items():
        pieces[theirs(name)].append((_place(name), tensor))
    return {
        name: torch.cat([tensor for _, tensor in sorted(some, key=lambda each: each[0])])
        for name, some in pieces.items()
    }


_ORDER = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "proj_mlp")


def _place(name: str) -> int:
    """Of its rows in what the authors have as one matrix."""
    module = name.rpartition(".")[0].rpartition(".")[2]
    return _ORDER.index(module) if module in _ORDER else 0
