"""Building networks whose weights come from files. Imports torch."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from accelerate import init_empty_weights
from transformers.initialization import no_init_weights

BUILDING: Final = threading.Lock()
"""Held while torch is patched by `without_weights`, and while a network is built that has weights.

The patches are for the whole process, so the engines of several lanes take turns."""


@contextmanager
def without_weights() -> Iterator[None]:
    """Whatever module is built in the block has its parameters on the meta device, and its buffers
    with their values on the CPU.

    No number is drawn for the parameters: that would be most of the time that building takes.
    """
    with BUILDING, init_empty_weights(include_buffers=False), no_init_weights():
        yield
