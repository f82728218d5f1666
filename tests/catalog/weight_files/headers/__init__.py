"""The tensor names and shapes of published models; `tools/headers/` writes them."""

import re
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_RANGE: Final = re.compile(r"\{(\d+)-(\d+)\}")
NAMES: Final = tuple(sorted(file.stem for file in _FOLDER.glob("*.txt")))


def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of the denoiser, VAE or text encoder of that name."""
    return shapes_in(_FOLDER / f"{name}.txt")


def shapes_in(file: Path) -> dict[str, tuple[int, ...]]:
    """The same for the model whose tensors are listed in `file`."""
    shapes = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        form, *sides = line.split(" ")
        shape = tuple(map(int, sides))
        if found := _RANGE.search(form):
            for number in range(int(found[1]), int(found[2]) + 1):
                shapes[f"{form[: found.start()]}{number}{form[found.end() :]}"] = shape
        else:
            shapes[form] = shape
    return shapes
