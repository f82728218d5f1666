"""The tensors of a model, built without weights."""

import sys
from collections.abc import Mapping
from typing import Any

Shapes = dict[str, tuple[int, ...]]


def built(kind: str, options: Mapping[str, Any]) -> Shapes:
    """The tensors of diffusers' class `kind` with `options`: name → shape."""
    sys.modules["torchvision"] = None  # type: ignore[assignment] # its operators may not match
    import diffusers
    import torch

    with torch.device("meta"):
        model = getattr(diffusers, kind)(**options)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
