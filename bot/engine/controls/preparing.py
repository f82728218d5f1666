"""The maps of a job: what its ControlNets follow in their images. Imports torch."""

from dataclasses import dataclass

import PIL.Image

from bot.engine.controls import maps
from bot.engine.needed import Needed
from bot.request import ControlUse


@dataclass(frozen=True, slots=True)
class Maps:
    """Makes the maps of one job, for each pass anew."""

    needed: Needed

    def of(self, use: ControlUse, size: tuple[int, int]) -> PIL.Image.Image:
        """The map, RGB, that `use` follows in a result of that width and height."""
        picture = self.needed.pictures[use.sha256]
        return maps.prepared(picture, use.type, size)

    @property
    def facts(self) -> dict[str, str]:
        """What of the environment their bits depend on."""
        return {}
