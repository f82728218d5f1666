"""The places of the engine that candidates replace, and put back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bot.engine import pixels

Decode = Callable[..., Any]
"""As `bot.engine.pixels.decode`."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set the attribute `name` of `owner` within the block.

    owner: has that attribute itself, rather than its class.
    """
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def setting(owner: Any, **values: Any) -> Iterator[None]:
    """Set torch's settings of `owner` within the block."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def decoding(change: Callable[[Decode], Decode]) -> Iterator[None]:
    """Have images decoded by `change` of the engine's function within the block."""
    with replaced(pixels, "decode", change(pixels.decode)):
        yield
