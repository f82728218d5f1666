"""What is in an image, in words, as AUTOMATIC1111's Interrogate says it.

There, BLIP and CLIP write sentences, and DeepDanbooru lists tags (its modules/api/api.py,
`interrogateapi`). Here one network does, as far as it was trained for either.
"""

from collections.abc import Mapping
from typing import Final

from fastapi import Request

from bot.api.automatic.bodies import Interrogate
from bot.api.automatic.jobs import ended
from bot.api.desk import Desk
from bot.api.errors import NotReady
from bot.errors import InvalidRequest, Refused
from bot.request import DETAILED, DescribeDraft, as_prompt, describe_styles
from bot.request.parts import TAGS
from bot.store import ApiKey
from catalog import Catalog

STYLES: Final[Mapping[str, str]] = {"clip": DETAILED, "deepdanbooru": TAGS, "deepbooru": TAGS}
"""By the name of the model, the style; DeepDanbooru has had two names."""


def style_of(asked: Interrogate, catalog: Catalog) -> str:
    """Raises InvalidRequest for a model that is not there, Refused where nothing describes."""
    if not (offered := describe_styles(catalog)):
        raise Refused("describe.none")
    style = STYLES.get(asked.model)
    if style not in offered or style is None:
        allowed = tuple(name for name, means in STYLES.items() if means in offered)
        value = asked.model[:100]
        raise InvalidRequest("model", "api.automatic.interrogate", value=value, allowed=allowed)
    return style


async def described(data: bytes, style: str, request: Request, desk: Desk, caller: ApiKey) -> str:
    """The words for the image file `data`; tags so that nothing in them weighs, as there.

    Raises NotReady if the job was cancelled, and as `ended`.
    """
    job = await ended(
        request, desk, caller, DescribeDraft(style=style), {"image": data}, counted=True
    )
    if job.words is None:
        raise NotReady("api.job.cancelled")
    return as_prompt(job.words) if style == TAGS else job.words
