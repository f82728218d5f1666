"""A classifier that says what tests tell it to."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import PIL.Image

from bot.settings.image_check import ImageCheck
from bot.store import Store
from bot.worker.image_check import Inspector
from catalog import Catalog, ImageCheckEntry

ENTRY = ImageCheckEntry(path="checker", folder="safety_checker")
Flag = Callable[[PIL.Image.Image], bool]


class FakeClassifier:
    """seen: the sizes of what it was asked about."""

    def __init__(self, flag: Flag = lambda _: True) -> None:
        self._flag = flag
        self.seen: list[tuple[int, int]] = []

    def flags(self, entry: ImageCheckEntry, images: Sequence[PIL.Image.Image]) -> tuple[bool, ...]:
        assert entry == ENTRY
        self.seen += [image.size for image in images]
        return tuple(map(self._flag, images))


def inspector(
    store: Store,
    classifier: FakeClassifier | None = None,
    of_owner: ImageCheck = "off",
) -> Inspector:
    catalog = replace(Catalog({}, {}, ""), image_check=ENTRY)
    return Inspector(store, classifier or FakeClassifier(), lambda: catalog, of_owner)
