"""What of a comparison's cell differs from the comparison: no more of it is stored."""

from typing import Any


def changes(data: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """What differs in `cell`; None for what only `data` has."""
    names = sorted({*data, *cell})
    return {name: cell.get(name) for name in names if cell.get(name) != data.get(name)}


def changed(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The reverse: what is None has its default, which is None or empty."""
    return {name: value for name, value in {**data, **changes}.items() if value is not None}
