"""What happens to an image that is probably not for everyone."""

from typing import Final, Literal

ImageCheck = Literal["off", "spoiler", "private", "refuse"]
"""off: images are not checked. spoiler: it is blurred until someone clicks. private: its person
alone gets it. refuse: nobody does."""
MILDEST_FIRST: Final[tuple[ImageCheck, ...]] = ("off", "spoiler", "private", "refuse")


def stricter_check(one: ImageCheck, other: ImageCheck) -> ImageCheck:
    """The stricter of the two."""
    return max(one, other, key=MILDEST_FIRST.index)
