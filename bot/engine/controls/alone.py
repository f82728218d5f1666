"""A map alone, as the result of a job: what a ControlNet would follow in an image."""

import hashlib

from bot.engine.controls.controls import Controls
from bot.engine.controls.headers import check_headers
from bot.engine.environment import Place
from bot.engine.hashing import HashCache
from bot.engine.needed import Shown
from bot.engine.recipes import with_helping
from bot.painting import OnPainted, PaintedImage, Painting
from bot.recipe import Recipe


def painting(
    shown: Shown, controls: Controls, hashes: HashCache, place: Place, each: OnPainted
) -> Painting:
    """The map that `shown.request` asks for, and its recipe.

    Raises JobFailed, or what a subject's `check_stop` raises.
    """
    for source, subject in shown.helping:
        check_headers(source, subject)
    request, maps = shown.request, controls.maps(shown)
    image = maps.of(request.controls[0], (request.width, request.height))
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    painted = PaintedImage(request.image_seed(0), image, digest)
    each(painted)
    environment = {**place.describe(), **maps.facts}
    recipe = Recipe(request=request, checkpoint=None, environment=environment)
    return Painting((painted,), with_helping(recipe, shown, hashes), ())
