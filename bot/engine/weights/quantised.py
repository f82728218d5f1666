"""Weights in 8 bits with a scale beside them, as plain numbers."""

from collections.abc import Mapping

import torch

from catalog.lines import one_line
from catalog.weight_files.quantisation import (
    MARK,
    SCALES,
    UnknownQuantisation,
    check_format,
    is_companion,
)


def plain(stored: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """`stored` with every scaled weight multiplied out, in `dtype`, and without the scales.

    stored: by the names in a file whose header `quantisation.scales_of` accepts.
    Raises UnknownQuantisation when a layer names a format that is not, or its scale is not finite.
    """
    found: dict[str, torch.Tensor] = {}
    for name, tensor in stored.items():
        if name.endswith(MARK):
            check_format(tensor.numpy().tobytes(), name)
        if is_companion(name):
            continue
        module = name.removesuffix(".weight")
        scale = next((stored[module + end] for end in SCALES if module + end in stored), None)
        if scale is not None and module != name:
            if not bool(scale.float().isfinite().all()):
                raise UnknownQuantisation(f"the scale of {one_line(name[:100])} is not finite")
            per_row = scale.float().reshape(-1, *(1 for _ in tensor.shape[1:]))
            tensor = (tensor.float() * per_row).to(dtype)
        found[name] = tensor
    return found
