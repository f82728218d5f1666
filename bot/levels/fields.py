"""What each level may set: everything optional, and validated."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bot.errors import InvalidRequest
from bot.request import CELLS_MAX, COUNT_MAX, PROMPT_MAX, UPSCALE_SCALES
from bot.request.syntax import parse_adapters
from bot.settings.image_check import ImageCheck
from catalog import SCHEDULERS, TAG
from catalog.limits import KEY_MAX, TAG_MAX

FORCED_MAX: Final = 500
"""Characters of a forced negative prompt."""
LIST_MAX: Final = 100
"""Entries of a list of models or LoRAs."""
ROLES_MAX: Final = 25
"""Entries of a list of roles: as many as a panel lets people choose."""
_SYNTAX: Final = re.compile(r"[{}<>|\[\]\\]|__")
_SIZE: Final = re.compile(r"[0-9]{2,4} ?[x×*] ?[0-9]{2,4}|[0-9]{1,3} ?: ?[0-9]{1,3}", re.IGNORECASE)


def _lora_list(text: str) -> str:
    try:
        parse_adapters(text)
    except InvalidRequest as error:
        raise ValueError("must be LoRAs such as key:weight, key:weight") from error
    return text


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError("must be a size such as 832x1216 or 16:9")
    return text


def _plain_words(text: str) -> str:
    if _SYNTAX.search(text):
        raise ValueError("must be plain words, without brackets other than ( ) and wildcards")
    return text.strip()


def _scheduler(text: str) -> str:
    if text not in SCHEDULERS:
        raise ValueError(f"must be one of {', '.join(SCHEDULERS)}")
    return text


def _scale(value: float) -> float:
    if value not in (1.0, *UPSCALE_SCALES):
        raise ValueError(f"must be one of 1, {', '.join(f'{each:g}' for each in UPSCALE_SCALES)}")
    return value


Buttons = Literal["everyone", "requester"]
Id = Annotated[int, Field(ge=1, lt=2**63)]
Key = Annotated[str, Field(min_length=1, max_length=KEY_MAX)]
Named = Annotated[str, Field(min_length=1, max_length=max(KEY_MAX, len(TAG) + TAG_MAX))]
"""A key, or `#tag`."""
Names = Annotated[tuple[Named, ...], Field(max_length=LIST_MAX)]
Roles = Annotated[tuple[Id, ...], Field(max_length=ROLES_MAX)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,4})?$")]


class LevelFields(BaseModel):
    """What a level has set; None, and an empty list, for what it has not.

    The defaults are used where a person gives nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    language: Language | None = None
    model: Key | None = None
    loras: Annotated[str, Field(max_length=300), AfterValidator(_lora_list)] | None = None
    size: Annotated[str, AfterValidator(_size)] | None = None
    steps: Annotated[int, Field(ge=1, le=100)] | None = None
    guidance: Annotated[float, Field(ge=0, le=30)] | None = None
    scheduler: Annotated[str, AfterValidator(_scheduler)] | None = None
    negative: Annotated[str, Field(max_length=PROMPT_MAX)] | None = None


class PersonFields(LevelFields):
    """spoiler: whether their images are blurred until someone clicks. ping: whether they are
    mentioned after a long wait. private: whether only they see what they ask for, unless they say
    otherwise. compact: whether results come without details and buttons for rare things.
    """

    spoiler: bool | None = None
    ping: bool | None = None
    private: bool | None = None
    compact: bool | None = None


class ChannelFields(LevelFields):
    """language: of messages that everyone sees.

    paint: whether images may be asked for there. allow_…, block_…: keys and `#tags`; with an allow
    list, nothing else may be used. max_steps, max_megapixels (of a finished image, enlarging
    aside), max_count, max_cells, max_upscale (a factor; 1: no enlarging): the most that may be
    asked for. roles: one of them is needed. priority_roles: their jobs go first, as far as the
    owner lets servers do so. quota: images per person in 24 hours; cooldown: seconds between two
    requests of a person, both counted there. forced_negative: added to every negative prompt.
    forced_spoiler: every image is blurred. buttons: who may use those of a result.
    reactions: whether the bot adds reactions to results. image_check: what becomes of images that
    the check objects to.
    """

    paint: bool | None = None
    allow_models: Names = ()
    block_models: Names = ()
    allow_loras: Names = ()
    block_loras: Names = ()
    max_steps: Annotated[int, Field(ge=1, le=100)] | None = None
    max_megapixels: Annotated[float, Field(ge=0.05, le=16)] | None = None
    max_count: Annotated[int, Field(ge=1, le=COUNT_MAX)] | None = None
    max_cells: Annotated[int, Field(ge=1, le=CELLS_MAX)] | None = None
    max_upscale: Annotated[float, AfterValidator(_scale)] | None = None
    roles: Roles = ()
    priority_roles: Roles = ()
    quota: Annotated[int, Field(ge=1, le=100_000)] | None = None
    cooldown: Annotated[float, Field(ge=0, le=86_400)] | None = None
    forced_negative: (
        Annotated[str, Field(max_length=FORCED_MAX), AfterValidator(_plain_words)] | None
    ) = None
    forced_spoiler: bool | None = None
    buttons: Buttons | None = None
    reactions: bool | None = None
    image_check: ImageCheck | None = None


class ServerFields(ChannelFields):
    """welcome: whether whoever invites the bot gets a first message. audit_channel: the ID of the
    channel that is told of changes and reports. keep_days: days to keep images that were asked for
    there; shorter than the owner's.
    """

    welcome: bool | None = None
    audit_channel: Id | None = None
    keep_days: Annotated[float, Field(ge=1, le=100_000)] | None = None


def bounds_of(fields: type[LevelFields], name: str) -> tuple[float, float] | None:
    """The lowest and highest value of a number; None for what is no number with bounds."""
    found: dict[str, Any] = {}
    for metadata in _metadata(fields.model_fields[name].annotation):
        for end in ("ge", "le"):
            if (value := getattr(metadata, end, None)) is not None:
                found[end] = value
    return (found["ge"], found["le"]) if len(found) == 2 else None


def _metadata(annotation: Any) -> list[Any]:
    inner = [annotation, *getattr(annotation, "__args__", ())]
    flat: list[Any] = []
    for each in inner:
        for metadata in getattr(each, "__metadata__", ()):
            flat += [metadata, *getattr(metadata, "metadata", ())]
    return flat
