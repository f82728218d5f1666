"""AUTOMATIC1111's way to seamless images: each convolution of a network is told to wrap around."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def convolutions(*networks: Any) -> list[torch.nn.Conv2d]:
    every = (module for network in networks for module in network.modules())
    return [module for module in every if isinstance(module, torch.nn.Conv2d)]


@contextmanager
def circular(*networks: Any) -> Iterator[None]:
    """Within it, all convolutions of these do."""
    for module in convolutions(*networks):
        module.padding_mode = "circular"
    try:
        yield
    finally:
        for module in convolutions(*networks):
            module.padding_mode = "zeros"
