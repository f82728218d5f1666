"""What holds in a place, from what each level has set. Pure functions.

The owner's settings ≥ the server's ≥ the channel's ≥ the person's: each may only narrow what those
before it allow. Of the defaults, the nearest that is allowed is used.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final, TypeVar

from bot.levels.fields import (
    ChannelFields,
    LevelFields,
    PersonFields,
    ServerFields,
)
from bot.levels.level import Level
from bot.levels.place import Place
from bot.levels.rules import Caps, Defaults, PlaceLimit, Rules
from bot.settings.image_check import stricter_check
from catalog import EVERYTHING, Allowance

T = TypeVar("T")
NOTHING: Final = (ServerFields(), ChannelFields(), PersonFields())
_MEGA: Final = 1_000_000


def resolve(
    caps: Caps,
    server: ServerFields = NOTHING[0],
    channel: ChannelFields = NOTHING[1],
    person: PersonFields = NOTHING[2],
    place: Place | None = None,
) -> Rules:
    """What holds for the person. place: where, for what is counted there."""
    shared: tuple[tuple[Level, ChannelFields], ...] = (
        (Level.SERVER, server),
        (Level.CHANNEL, channel),
    )
    sources: dict[str, Level] = {}

    def narrow(name: str, field: str, first: Any, pick: Callable[[Any, Any], Any]) -> Any:
        """The strictest of what is set, beginning with the owner's; the outermost that says it."""
        value = first
        for level, fields in shared:
            given = getattr(fields, field, None)
            if given is None:
                continue
            picked = given if value is None else pick(value, given)
            if picked != value:
                value, sources[name] = picked, level
        return value

    for name, cap, usual in (
        ("buttons", caps.buttons, "everyone"),
        ("ping", caps.ping, True),
        ("keep_days", caps.keep_days, 0),
        ("image_check", caps.image_check, "off"),
    ):
        if cap != usual:
            sources[name] = Level.OWNER
    if server.audit_channel is not None:
        sources["audit_channel"] = Level.SERVER
    pixels = narrow("pixels_max", "max_megapixels", None, min)
    if caps.ping and person.ping is not None:
        sources["ping"] = Level.PERSON
    return Rules(
        language=_own("language", person, sources),
        public_language=_nearest("language", shared, sources, "public_language"),
        paint=narrow("paint", "paint", True, _both),
        roles=tuple(frozenset(fields.roles) for _, fields in shared if fields.roles),
        priority_roles=_in_each([fields.priority_roles for _, fields in shared]),
        priority=caps.priority,
        buttons=narrow("buttons", "buttons", caps.buttons, _stricter_buttons),
        models=_allowance(shared, "models"),
        loras=_allowance(shared, "loras"),
        steps_max=narrow("steps_max", "max_steps", None, min),
        pixels_max=None if pixels is None else round(pixels * _MEGA),
        count_max=narrow("count_max", "max_count", None, min),
        cells_max=narrow("cells_max", "max_cells", None, min),
        upscale_max=narrow("upscale_max", "max_upscale", None, min),
        limits=_limits(shared, place),
        forced_negative=_forced(shared),
        forced_spoiler=narrow("forced_spoiler", "forced_spoiler", False, _either),
        defaults=_defaults((*shared, (Level.PERSON, person)), sources),
        spoiler=bool(_own("spoiler", person, sources)),
        private=bool(_own("private", person, sources)),
        ping=caps.ping and person.ping is not False,
        compact=bool(_own("compact", person, sources)),
        reactions=narrow("reactions", "reactions", True, _both),
        audit_channel=server.audit_channel,
        welcome=narrow("welcome", "welcome", True, _both),
        keep_days=narrow("keep_days", "keep_days", caps.keep_days, _shorter),
        image_check=narrow("image_check", "image_check", caps.image_check, stricter_check),
        sources={**sources, **_lists(shared)},
    )


def everywhere(shared: Sequence[ChannelFields]) -> Allowance:
    """The models that all of these allow. shared: what servers and channels have set."""
    return _allowance([(Level.SERVER, fields) for fields in shared], "models")


def _both(above: bool, given: bool) -> bool:
    return above and given


def _either(above: bool, given: bool) -> bool:
    return above or given


def _stricter_buttons(above: str, given: str) -> str:
    return "requester" if "requester" in (above, given) else "everyone"


def _shorter(above: float, given: float) -> float:
    """0 is for ever."""
    return min(filter(None, (above, given)), default=0)


def _own(name: str, person: PersonFields, sources: dict[str, Level]) -> Any:
    value = getattr(person, name)
    if value is not None:
        sources[name] = Level.PERSON
    return value


def _nearest(
    name: str,
    levels: Sequence[tuple[Level, LevelFields]],
    sources: dict[str, Level],
    called: str | None = None,
) -> Any:
    for level, fields in reversed(levels):
        if (value := getattr(fields, name)) is not None:
            sources[called or name] = level
            return value
    return None


def _defaults(levels: Sequence[tuple[Level, LevelFields]], sources: dict[str, Level]) -> Defaults:
    """Those of all levels, the nearest first."""
    every: dict[str, tuple[Any, ...]] = {}
    for name in Defaults.__slots__:
        _nearest(name, levels, sources)
        given = (getattr(fields, name) for _, fields in reversed(levels))
        every[name] = tuple(value for value in given if value is not None)
    return Defaults(**every)


def _allowance(shared: Sequence[tuple[Level, ChannelFields]], what: str) -> Allowance:
    allow = tuple(
        frozenset(listed) for _, fields in shared if (listed := getattr(fields, f"allow_{what}"))
    )
    block = frozenset(name for _, fields in shared for name in getattr(fields, f"block_{what}"))
    return Allowance(allow, block) if allow or block else EVERYTHING


def _in_each(lists: Sequence[tuple[int, ...]]) -> frozenset[int]:
    """What is in each of those lists that are not empty."""
    given = [frozenset(listed) for listed in lists if listed]
    return reduce(frozenset.intersection, given) if given else frozenset()


def _forced(shared: Sequence[tuple[Level, ChannelFields]]) -> tuple[str, ...]:
    texts = (fields.forced_negative for _, fields in shared)
    return tuple(dict.fromkeys(text for text in texts if text))


def _limits(
    shared: Sequence[tuple[Level, ChannelFields]], place: Place | None
) -> tuple[PlaceLimit, ...]:
    if place is None:
        return ()
    where = {Level.SERVER: place.community, Level.CHANNEL: place.channel_id}
    return tuple(
        PlaceLimit(level=level, place=of, quota=fields.quota, cooldown=fields.cooldown or 0)
        for level, fields in shared
        if (of := where[level]) is not None and (fields.quota is not None or fields.cooldown)
    )


def _lists(shared: Sequence[tuple[Level, ChannelFields]]) -> dict[str, Level]:
    """The outermost level that has set each list, or what is counted in each place."""
    found: dict[str, Level] = {}
    for level, fields in shared:
        for name, given in (
            ("models", fields.allow_models or fields.block_models),
            ("loras", fields.allow_loras or fields.block_loras),
            ("roles", fields.roles),
            ("priority_roles", fields.priority_roles),
            ("quota", fields.quota),
            ("cooldown", fields.cooldown),
            ("forced_negative", fields.forced_negative),
        ):
            if given:
                found.setdefault(name, level)
    return found
