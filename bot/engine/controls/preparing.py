"""The maps of a job: what its ControlNets follow in their images. Imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import PIL.Image

from bot.engine import pixels
from bot.engine.controls import maps, skeleton
from bot.engine.controls.skeleton import Person
from bot.engine.needed import Shown
from bot.engine.regions import Region
from bot.request import ControlUse
from catalog.control_types import SCRIBBLE


@dataclass(frozen=True, slots=True)
class Maps:
    """Makes the maps of one job, anew for each size.

    depths: of the images whose depth is followed, by sha256; see `maps.prepared`. people: in those
    whose pose is, unless they are skeletons already. region: the part of the result that is
    painted, and of which they are; None for all of it.
    """

    shown: Shown
    depths: Mapping[str, PIL.Image.Image]
    people: Mapping[str, tuple[Person, ...]]
    region: Region | None = None

    def of(self, use: ControlUse, size: tuple[int, int]) -> PIL.Image.Image:
        """The map, RGB, that `use` follows in a pass of that width and height."""
        picture, depth = self.shown.pictures[use.sha256], self.depths.get(use.sha256)
        if use.needs_pose and (people := self.people.get(use.sha256)) is not None:
            return self._pose(picture.size, people, size)
        if self.region is not None:
            depth = depth and self.region.part_of(depth, picture.size)
            picture = self.region.part_of(picture)
        if use.is_map:
            return maps.resized(picture, use.type, size)
        if use.of_photo and use.type == SCRIBBLE:
            return maps.scribble(picture, size)
        return maps.prepared(picture, use.type, size, depth=depth)

    def _pose(
        self, whole: tuple[int, int], people: tuple[Person, ...], size: tuple[int, int]
    ) -> PIL.Image.Image:
        """whole: of the picture that the people are in."""
        left, top = 0, 0
        if self.region is not None:
            box = self.region.box_in(whole)
            left, top, whole = box.left, box.top, (box.width, box.height)
        across, down, right, bottom = pixels.covering(whole, *size)
        return skeleton.drawn(people, (left + across, top + down, left + right, top + bottom), size)

    @property
    def facts(self) -> dict[str, str]:
        """What of the environment their bits depend on."""
        made = [maps.facts(use) for use in self.shown.request.controls]
        return {name: version for each in made for name, version in each.items()}
