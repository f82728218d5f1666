"""What holds for a person where they are: limits, and what is used where they give nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.levels.fields import Buttons
from bot.levels.level import Level
from bot.settings.image_check import ImageCheck
from catalog import EVERYTHING, Allowance, Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What the owner has set that the levels stay within.

    ping: whether people are mentioned after a long wait. keep_days: 0 for ever. priority: the
    highest that servers may give their roles. quota, cooldown: see bot.queue.limits; they count
    everywhere.
    """

    buttons: Buttons = "everyone"
    ping: bool = True
    keep_days: float = 0
    priority: int = 0
    quota: int | None = None
    cooldown: float = 0
    image_check: ImageCheck = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What is used where a person gives nothing: what the levels have set, the nearest first.

    The first that is still allowed is used; see bot.levels.defaults.
    """

    model: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    size: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    guidance: tuple[float, ...] = ()
    scheduler: tuple[str, ...] = ()
    negative: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLimit:
    """How much one person may ask for in one place.

    level: SERVER or CHANNEL. place: its community, or the channel's ID. quota: images in any 24
    hours; None for no limit. cooldown: seconds between two requests.
    """

    level: Level
    place: str | int
    quota: int | None = None
    cooldown: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """language: of what the person alone reads; None for the one that Discord sends.
    public_language: of messages that everyone sees there; None if no level says.

    paint: whether images may be asked for. roles: one of each of these sets is needed.
    priority_roles: roles whose jobs have the priority `priority`. buttons: who may use those of a
    result. models, loras: which may be used. steps_max … upscale_max: the most that may be asked
    for, None for no limit but the model's own; pixels_max is of a finished image, enlarging aside,
    and an upscale_max of 1 means that nothing is enlarged.
    limits: of the server and the channel. forced_negative: texts added to every negative prompt.
    forced_spoiler: whether every image is blurred.

    defaults: see there. spoiler, private: whether images are blurred, or shown to the person alone,
    where they do not say. ping: whether they are mentioned after a long wait. compact: whether
    results come without details and rare buttons.
    reactions: whether reactions are added to results. audit_channel: where changes are told.
    welcome: whether whoever invites the bot is greeted. keep_days: how long images are kept; 0 for
    ever. image_check: the strictest of the levels.

    sources: from which level each value comes, by the name of its field here or in `defaults`; what
    is missing is the bot's own.
    """

    language: str | None = None
    public_language: str | None = None

    paint: bool = True
    roles: tuple[frozenset[int], ...] = ()
    priority_roles: frozenset[int] = frozenset()
    priority: int = 0
    buttons: Buttons = "everyone"
    models: Allowance = EVERYTHING
    loras: Allowance = EVERYTHING
    steps_max: int | None = None
    pixels_max: int | None = None
    count_max: int | None = None
    cells_max: int | None = None
    upscale_max: float | None = None
    limits: tuple[PlaceLimit, ...] = ()
    forced_negative: tuple[str, ...] = field(default=(), repr=False)
    forced_spoiler: bool = False

    defaults: Defaults = Defaults()
    spoiler: bool = False
    private: bool = False
    ping: bool = True
    compact: bool = False
    reactions: bool = True
    audit_channel: int | None = None
    welcome: bool = True
    keep_days: float = 0
    image_check: ImageCheck = "off"

    sources: Mapping[str, Level] = field(default_factory=dict, hash=False)

    def offered(self, catalog: Catalog) -> Catalog:
        """`catalog` with what may be used here, the default that the levels chose first.

        Memory only. What is only for age-restricted channels is still in it.
        """
        return catalog.narrowed(self.models, self.loras, self.defaults.model)

    def priority_of(self, roles: frozenset[int]) -> int:
        """The priority that the server gives someone with these roles; 0 is the usual one."""
        return self.priority if roles & self.priority_roles else 0

    def source(self, name: str) -> Level | None:
        """From which level the value comes; None for the bot's own."""
        return self.sources.get(name)

    def value(self, name: str) -> Any:
        """The value of that name, here or in `defaults`: there, what the nearest level has set."""
        if name in Defaults.__slots__:
            return next(iter(getattr(self.defaults, name)), None)
        return getattr(self, name)
