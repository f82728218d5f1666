"""What holds in a place, enforced on a job before it is stored, however it was asked for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from bot.errors import InvalidRequest, JobFailed, Refused
from bot.levels.level import Level
from bot.levels.levels import Levels
from bot.levels.rules import Rules
from bot.progress import Notice
from bot.request import GenerationRequest, emphasis
from bot.request.pictures import size_within
from bot.settings.image_check import stricter_check
from bot.store import Discord, Job, NewAct, NewJob, Store
from catalog import Catalog

ADDED: Final = "levels.negative_added"
ADDED_AGAIN: Final = "levels.negative_again"
VOID: Final = "levels.negative_void"
NO_GUIDANCE: Final = 1.0
"""Up to this guidance, a negative prompt has no effect."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job as it may be stored, and the rules by which it may. acts: to be kept with it."""

    new: NewJob
    rules: Rules
    acts: tuple[NewAct, ...] = ()


Admit: TypeAlias = Callable[[NewJob], Awaitable[Admitted]]
"""Returns a job as it may be stored; raises UserError if it may not."""


async def admitted_as_it_is(new: NewJob) -> Admitted:
    """For a queue of jobs that nothing is checked of."""
    return Admitted(new, Rules())


class Enforcing:
    """Checks each job by what holds where it was asked for.

    catalog: returns the current one.
    """

    def __init__(self, levels: Levels, catalog: Callable[[], Catalog]) -> None:
        self._levels = levels
        self._catalog = catalog

    async def __call__(self, new: NewJob) -> Admitted:
        """See Admit."""
        rules = await self._levels.rules_of(new.origin, new.roles)
        return Admitted(enforce(new, rules, self._catalog()), rules)


def enforce(new: NewJob, rules: Rules, catalog: Catalog) -> NewJob:
    """`new` as it may be stored: with what the levels add to it.

    Raises Refused or InvalidRequest where they do not allow it.
    """
    _check_paint(rules)
    check_roles(rules, new.roles)
    _check_caps(new.request, rules, catalog)
    _check_entries(new.request, rules, catalog)
    return _shown(_negated(new, rules, catalog), rules)


class Rechecking:
    """Asks again, before a job is generated, what must not be generated or shown where it was
    asked for; what was set there since then holds for the jobs in line, too.

    How much may be asked for at once is decided when a job is accepted.
    """

    def __init__(self, levels: Levels, store: Store, catalog: Callable[[], Catalog]) -> None:
        self._levels = levels
        self._store = store
        self._catalog = catalog

    async def __call__(self, job: Job) -> Job | None:
        """Returns the job with how it is shown by now; None if nothing has changed about that.

        Raises JobFailed if it may not be generated any more, and StoreError.
        """
        origin = job.origin
        if not isinstance(origin, Discord):
            return None
        rules = await self._levels.rules_of(origin)
        try:
            _check_paint(rules)
            _check_entries(job.request, rules, self._catalog())
        except Refused as refused:
            raise JobFailed(refused.code, **refused.params) from refused
        shown = shown_at(origin, rules)
        if shown == origin:
            return None
        await self._store.messages.set_shown(job.id, shown.spoiler, shown.image_check)
        return replace(job, origin=shown)


def _check_paint(rules: Rules) -> None:
    if not rules.paint:
        raise Refused(f"levels.no_painting.{rules.source('paint') or Level.SERVER}")


def check_roles(rules: Rules, roles: frozenset[int]) -> None:
    """Raise Refused for someone without a role that the server or the channel requires."""
    for allowed in rules.roles:
        if not roles & allowed:
            first, *others = sorted(allowed)
            if not others:
                raise Refused("queue.role", role=first)
            raise Refused("queue.roles", role=first, others=len(others))


def _check_caps(request: GenerationRequest, rules: Rules, catalog: Catalog) -> None:
    if request.comparison is not None:
        _at_most("values", "levels.cells", len(request.each), rules.cells_max)
    for each in request.each:
        _at_most("count", "levels.count", each.count, rules.count_max)
        if each.model:
            _at_most("steps", "levels.steps", each.steps, rules.steps_max)
        if each.describe is not None:
            continue  # how large it is was limited when it was given
        if each.upscale is None:
            _check_pixels(each, rules, catalog)
        elif rules.upscale_max is not None and each.upscale.scale > rules.upscale_max:
            if rules.upscale_max <= 1:
                raise Refused("levels.no_upscaling")
            raise InvalidRequest(
                "scale", "levels.scale", value=each.upscale.scale, max=rules.upscale_max
            )


def _at_most(field: str, code: str, value: int, limit: int | None) -> None:
    if limit is not None and value > limit:
        raise InvalidRequest(field, code, value=value, max=limit)


def _check_pixels(request: GenerationRequest, rules: Rules, catalog: Catalog) -> None:
    width, height = request.painted_size
    if rules.pixels_max is None or width * height <= rules.pixels_max:
        return
    sizes: dict[str, str | float] = {
        "value": f"{width}x{height}",
        "megapixels": width * height / 1e6,
        "max": rules.pixels_max / 1e6,
    }
    model = catalog.models.get(request.model)
    if model is not None:
        across, down = size_within(request.width, request.height, model, rules.pixels_max)
        if across * down <= rules.pixels_max:
            code = "levels.pixels" if request.hires is None else "levels.hires"
            raise InvalidRequest("size", code, **sizes, offered=f"{across}x{down}")
    raise InvalidRequest("size", "levels.smallest", **sizes, model=request.model)


def _check_entries(request: GenerationRequest, rules: Rules, catalog: Catalog) -> None:
    """What is not in the catalog at all is refused elsewhere."""
    for each in request.each:
        if (model := catalog.models.get(each.model)) and not rules.models.holds(
            model.key, model.tags
        ):
            raise Refused("model.not_here", name=model.key)
        for use in each.adapters:
            adapter = catalog.adapters.get(use.key)
            if adapter and not rules.loras.holds(adapter.key, adapter.tags):
                raise Refused("lora.not_here", name=adapter.key)


def _negated(new: NewJob, rules: Rules, catalog: Catalog) -> NewJob:
    """With the texts that the levels add to every negative prompt, and a note that says so, also
    where they have no effect."""
    request = new.request
    for text in rules.forced_negative:
        request = with_negative(request, text, catalog)
    codes = []
    if request != new.request:
        codes.append(ADDED_AGAIN if new.kind == "reroll" else ADDED)
    if rules.forced_negative and any(_negative_is_void(each, catalog) for each in request.each):
        codes.append(VOID)
    notices = [notice for code in codes if (notice := Notice(code, {})) not in new.warnings]
    return replace(new, request=request, warnings=(*new.warnings, *notices)) if codes else new


def _negative_is_void(request: GenerationRequest, catalog: Catalog) -> bool:
    """Whether its model takes a negative prompt, but it asks for no guidance."""
    if not request.model or request.guidance > NO_GUIDANCE:
        return False
    return catalog.takes_negative(request.model)


def with_negative(request: GenerationRequest, text: str, catalog: Catalog) -> GenerationRequest:
    """`request` with `text` at the end of each negative prompt that does not end with it.

    Those of models that take no negative prompt stay as they are.
    """
    comparison = request.comparison
    if comparison is not None:
        cells = tuple(with_negative(cell, text, catalog) for cell in comparison.cells)
        request = replace(request, comparison=replace(comparison, cells=cells))
    if not request.model or not catalog.takes_negative(request.model):
        return request
    others = tuple(replace(each, negative=_ending(each.negative, text)) for each in request.others)
    return replace(request, negative=_ending(request.negative, text), others=others)


def _ending(negative: str, text: str) -> str:
    if negative.endswith(text):
        before = negative.removesuffix(text).removesuffix(", ")
        # A bracket that is open before it would weaken it.
        if negative == (emphasis.join((before, text)) if before else text):
            return negative
    return emphasis.join((negative, text)) if negative.strip() else text


def _shown(new: NewJob, rules: Rules) -> NewJob:
    """With how its images are shown: blurred everywhere, or if they are flagged."""
    if not isinstance(new.origin, Discord):
        return new
    return replace(new, origin=shown_at(new.origin, rules))


def shown_at(origin: Discord, rules: Rules) -> Discord:
    """With how images are shown there, if that is stricter than it was."""
    check = "off" if origin.age_restricted else rules.image_check
    return replace(
        origin,
        spoiler=origin.spoiler or rules.forced_spoiler,
        image_check=stricter_check(origin.image_check, check),
    )
