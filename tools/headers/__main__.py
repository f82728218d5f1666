"""Write a file for each model: `python -m tools.headers`.

It builds each on the meta device, in the size of the published one. A file has one
line for names that differ in numbers alone: `layers.{0-29}.mlp.weight 4096 1024`.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from tools.headers.models import MODELS
from tools.headers.original_names import RENAMED
from tools.headers.shapes import Shapes, built

FOLDER: Final = Path("tests/catalog/weight_files/headers")
_NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.)")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (kind, options) in MODELS.items():
        shapes = built(kind, options)
        _write(name, shapes)
        for mark, rename in RENAMED.items():
            if name.startswith(mark):
                _write(f"{name}-original", rename(shapes))


def _write(name: str, shapes: Shapes) -> None:
    grouped = min(([*_grouped(shapes, which)] for which in (0, -1)), key=len)
    lines = (" ".join([form, *map(str, shape)]) for form, shape in grouped)
    (FOLDER / f"{name}.txt").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


def _grouped(shapes: Shapes, which: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names with the ranges of one of their numbers, `which`, that have the same shape."""
    forms: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for name, shape in shapes.items():
        if numbered := [*_NUMBER.finditer(name)]:
            number = numbered[which]
            form = f"{name[: number.start()]}{{}}{name[number.end() :]}"
            forms.setdefault((form, shape), []).append(int(number[0]))
        else:
            yield name, shape
    for (form, shape), numbers in forms.items():
        runs = groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
        for _, run in runs:
            inside = [number for _, number in run]
            yield form.format(f"{{{inside[0]}-{inside[-1]}}}"), shape


if __name__ == "__main__":
    main()
