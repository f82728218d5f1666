"""What the map says that a ControlNet follows: edges, depth, a pose, and so on."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

CANNY: Final = "canny"
DEPTH: Final = "depth"
POSE: Final = "openpose"
SCRIBBLE: Final = "scribble"
TILE: Final = "tile"
OTHER: Final = "other"
CONTROL_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    CANNY: ("canny",),
    DEPTH: ("depth", "midas", "zoe"),
    POSE: ("openpose", "pose"),
    "lineart": ("lineart", "line"),
    SCRIBBLE: ("scribble", "sketch"),
    "softedge": ("softedge", "hed", "pidi"),
    "mlsd": ("mlsd",),
    "normal": ("normal",),
    "segment": ("segment", "seg"),
    TILE: (TILE,),
    OTHER: (),
}
"""The types, named as in AUTOMATIC1111's extension, and the words in names that tell them."""

MADE_OF_PHOTOS: Final = (POSE, SCRIBBLE)
"""Types of which a map was only brought to size at first, before one could be made of a photo."""

OF_UNIONS: Final[Mapping[int, tuple[str, ...]]] = {
    6: tuple(name for name in CONTROL_TYPES if name not in (TILE, OTHER)),
    8: tuple(name for name in CONTROL_TYPES if name != OTHER),
}
"""What ControlNets for several types follow, by the number of kinds of maps that they tell apart:
xinsir's of SDXL, and its ProMax, which has kinds for tiles and for repainting besides."""

_UNION: Final = "union"
_LARGER_UNION: Final = "promax"
_WORDS: Final = re.compile(r"[a-z]+")
_LONG: Final = 5
"""Words of so many letters tell a type even where something follows, as in `openposeXL2`."""


def told_type(names: Iterable[str]) -> str:
    """The type that the names of a ControlNet and of its file tell; OTHER if none does.

    The first name that tells one counts, and in it the word that stands first.
    """
    known = [(word, name) for name, words in CONTROL_TYPES.items() for word in words]
    for name in names:
        for found in _WORDS.findall(name.lower()):
            for word, kind in known:
                if found == word or (len(word) >= _LONG and found.startswith(word)):
                    return kind
    return OTHER


def told_types(names: Iterable[str]) -> tuple[str, ...]:
    """The types that the names of a ControlNet for several of them tell; empty for any other."""
    words = {word for name in names for word in _WORDS.findall(name.lower())}
    if _UNION not in words:
        return ()
    return OF_UNIONS[8 if _LARGER_UNION in words else 6]
