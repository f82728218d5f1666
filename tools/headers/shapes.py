"""A model without weights."""

import sys
from collections.abc import Mapping
from typing import Any

Shapes = dict[str, tuple[int, ...]]


def built(kind: str, options: Mapping[str, Any]) -> Shapes:
    """The shape of each tensor of a class of diffusers or transformers with these options."""
    sys.modules["torchvision"] = None  # type: ignore[assignment] # its operators may not match
    import diffusers
    import torch
    import transformers

    with torch.device("meta"):
        if hasattr(diffusers, kind):
            model = getattr(diffusers, kind)(**options)
        else:
            made = getattr(transformers, kind)
            model = made(made.config_class(**options))
    # Transformers saves what is tied to the embeddings once.
    alike = getattr(model.config, "tie_word_embeddings", False)
    tied = getattr(model, "_tied_weights_keys", None) or () if alike else ()
    stored = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return {name: shape for name, shape in stored.items() if name not in tied}
