"""ImageCheckMode: what happens to an image that is probably not for everyone."""

from enum import StrEnum


class ImageCheckMode(StrEnum):
    """From the mildest to the strictest.

    off: images are not checked. spoiler: it is blurred until someone clicks. private: its person
    alone gets it. refuse: nobody does.
    """

    OFF = "off"
    SPOILER = "spoiler"
    PRIVATE = "private"
    REFUSE = "refuse"

    @property
    def strictness(self) -> int:
        return list(ImageCheckMode).index(self)
