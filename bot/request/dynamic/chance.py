"""The draw: SHA-256 of where something is drawn, and for which seed. It is the same everywhere.

The number for a place is the first 16 bytes, big-endian, of the SHA-256 of this text in UTF-8:

    imagen-dynamic-1 <seed> <field> <place>

place: the numbers, from 0, that lead to what is drawn, with dots in between: of the choice or
wildcard among those of its text, then of the alternative that was drawn, and so on inwards; and
last, after a colon, which pick it is, from 1; 0 decides how many there are. One of `total` equally
likely outcomes is the number times `total`, divided by 2¹²⁸ and rounded down.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
"""Of the draw; another one would draw other texts for the seeds that people have."""


@dataclass(frozen=True, slots=True)
class Chance:
    """What decides for one text of one image.

    field: `prompt` or `negative`, which are drawn independently.
    """

    seed: int
    field: str

    def below(self, total: int, place: Sequence[int], pick: int) -> int:
        """An integer from 0 to `total` - 1."""
        where = ".".join(map(str, place))
        text = f"imagen-dynamic-{VERSION} {self.seed} {self.field} {where}:{pick}"
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
        return number * total >> 128
