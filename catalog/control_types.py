"""What the map says that a ControlNet follows: edges, depth, a pose, and so on."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

CANNY: Final = "canny"
DEPTH: Final = "depth"
OTHER: Final = "other"
CONTROL_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    CANNY: ("canny",),
    DEPTH: ("depth", "midas", "zoe"),
    "openpose": ("openpose", "pose"),
    "lineart": ("lineart", "line"),
    "scribble": ("scribble", "sketch"),
    "softedge": ("softedge", "hed", "pidi"),
    "mlsd": ("mlsd",),
    "normal": ("normal",),
    "segment": ("segment", "seg"),
    "tile": ("tile",),
    OTHER: (),
}
"""The types, named as in AUTOMATIC1111's extension, and the words in names that tell them."""

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
