"""The maps of a job: what its ControlNets follow in their images. Imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import PIL.Image

from bot.engine.controls import maps
from bot.engine.needed import Needed
from bot.engine.regions import Region
from bot.request import ControlUse


@dataclass(frozen=True, slots=True)
class Maps:
    """Makes the maps of one job, anew for each size.

    depths: of the images whose depth is followed, by sha256; see `maps.prepared`. region: the part
    of the result that is painted, and of which they are; None for all of it.
    """

    needed: Needed
    depths: Mapping[str, PIL.Image.Image]
    region: Region | None = None

    def of(self, use: ControlUse, size: tuple[int, int]) -> PIL.Image.Image:
        """The map, RGB, that `use` follows in a pass of that width and height."""
        picture, depth = self.needed.pictures[use.sha256], self.depths.get(use.sha256)
        if self.region is not None:
            depth = depth and self.region.part_of(depth, picture.size)
            picture = self.region.part_of(picture)
        if use.is_map:
            return maps.resized(picture, use.type, size)
        return maps.prepared(picture, use.type, size, depth=depth)

    @property
    def facts(self) -> dict[str, str]:
        """What of the environment their bits depend on."""
        made = [maps.facts(use.type) for use in self.needed.request.controls if not use.is_map]
        return {name: version for each in made for name, version in each.items()}
