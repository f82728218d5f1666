"""What is said about adapters that were applied, but not as their files may mean it."""

from collections.abc import Iterator
from typing import Final

from bot.engine.patches.file import AdapterFile
from bot.progress import Notice

NAME_SHOWN: Final = 100
"""Characters shown of a module's name, which may have any length in the file."""
_SKIPPED: Final = {"no_such_module": "adapter.no_such_module", "no_bias": "adapter.no_bias"}
"""Reason in `AdapterFile.skipped` → code of the notice."""


def notices(file: AdapterFile, adapter: str) -> Iterator[Notice]:
    """How much of a file took effect, why the rest did not, and whether its scale is a guess.

    adapter: key of its entry.
    """
    if file.matched < file.total:
        yield Notice(
            "adapter.partial", {"adapter": adapter, "matched": file.matched, "total": file.total}
        )
    for reason, code in _SKIPPED.items():
        modules = [name for name, why in file.skipped if why == reason]
        if modules:
            example = modules[0][:NAME_SHOWN]
            yield Notice(code, {"adapter": adapter, "count": len(modules), "example": example})
    if file.unscaled:
        yield Notice("adapter.no_scale", {"adapter": adapter})
