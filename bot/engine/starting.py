"""The image that a request starts from: what of it is kept, and its latents. Imports torch."""

from dataclasses import dataclass
from typing import Any

from bot.engine import pixels
from bot.engine.controls import Followings
from bot.engine.families import VAE
from bot.engine.inpainting import Kept, kept_of
from bot.engine.memory import Plan
from bot.engine.needed import Needed
from bot.engine.regions import Region
from bot.engine.residency import Resident


@dataclass(frozen=True, slots=True)
class Start:
    """begun: the distribution of its latents; None without such an image. kept: what is kept of it.
    controls: those of the request, of the same part if only a part is generated."""

    begun: Any | None
    kept: Kept | Region | None
    controls: Followings | None


def started(needed: Needed, resident: Resident, chosen: Plan, controls: Followings | None) -> Start:
    """What all images of a request start from."""
    request = needed.request
    if (init := request.init_image) is None:
        return Start(None, None, controls)
    picture, size = needed.shown.pictures[init.sha256], (request.width, request.height)
    mask = needed.shown.pictures[init.mask] if init.mask else None
    kept: Kept | Region | None = None
    if init.area and mask:
        kept = Region.of(picture, mask, init.area.padding, size, init.strength)
        controls = controls and controls.within(kept)
    elif init.keeps:
        kept = kept_of(init, picture, mask, size)
    start = kept.image if kept else pixels.fitted(picture, *size)
    resident.wake(needed.subject.check_stop, VAE)
    wraps = request.tile and not isinstance(kept, Region)
    begun = pixels.distribution(needed.family, resident.vae, start, tiled=chosen.tiled, wraps=wraps)
    return Start(begun, kept, controls)
