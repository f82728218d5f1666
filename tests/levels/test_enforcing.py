"""What holds in a place, enforced on a job, and what is used where nothing was given."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest, JobFailed, UserError
from bot.levels import Caps, Enforcing, Level, Levels, Place, Rechecking, Rules, enforce, resolve
from bot.levels.defaults import with_defaults
from bot.levels.enforcing import ADDED, ADDED_AGAIN, VOID, with_negative
from bot.levels.fields import ChannelFields, PersonFields, ServerFields
from bot.levels.rules import Defaults
from bot.progress import Notice
from bot.request import Comparison, Draft, GenerationRequest, Picture, Upscale, compose
from bot.request.parts import Axis
from bot.settings.image_check import ImageCheck
from bot.store import CommandLine, Discord, Job, NewJob, Store
from catalog import AdapterEntry, Catalog, IntRange, ModelEntry

CATALOG = Catalog(
    {
        "base": ModelEntry(key="base", name="Base", path="org/base", tags=("real",)),
        "small": ModelEntry(
            key="small",
            name="Small",
            path="org/small",
            size=(512, 512),
            min_side=256,
            max_side=768,
            steps=IntRange(min=4, default=20, max=30),
        ),
        "adults": ModelEntry(key="adults", name="Adults", path="org/adults", nsfw=True),
    },
    {
        "ink": AdapterEntry(key="ink", name="Ink", path="org/ink", tags=("black",)),
        "only": AdapterEntry(key="only", name="Only", path="org/only", models=("small",)),
    },
    "base",
)


def asked(request: GenerationRequest | None = None, **fields: Any) -> NewJob:
    made = request or compose(Draft(prompt="a fox", **fields), CATALOG, nsfw=True)
    return NewJob(request=made, origin=Discord(user_id=1, guild_id=2, channel_id=3))


def refusal(new: NewJob, server: ServerFields, channel: ChannelFields | None = None) -> str:
    with pytest.raises(UserError) as error:
        enforce(new, resolve(Caps(), server, channel or ChannelFields()), CATALOG)
    return error.value.code


def compared(count: int) -> GenerationRequest:
    cell = compose(Draft(prompt="a fox", seed=1), CATALOG, nsfw=True)
    axis = Axis("seed", tuple(map(str, range(count))))
    cells = tuple(replace(cell, seed=n) for n in range(count))
    return replace(cell, comparison=Comparison((axis,), cells))


ENLARGED = replace(
    compose(Draft(prompt="a"), CATALOG, nsfw=True),
    model="",
    upscale=Upscale("a" * 64, "builtin", 4.0, "crisp"),
)


@pytest.mark.parametrize(
    ("server", "new", "code"),
    [
        ({"paint": False}, asked(), "levels.no_painting.server"),
        ({"roles": (5,)}, asked(), "queue.role"),
        ({"roles": (5, 6)}, asked(), "queue.roles"),
        ({"max_steps": 29}, asked(), "levels.steps"),
        ({"max_count": 1}, asked(count=2), "levels.count"),
        ({"max_cells": 3}, asked(compared(4)), "levels.cells"),
        ({"max_steps": 29}, asked(compared(4)), "levels.steps"),
        ({"max_megapixels": 1.0}, asked(), "levels.pixels"),
        ({"max_megapixels": 1.1}, asked(hires=1.5), "levels.hires"),
        ({"max_megapixels": 0.2}, asked(), "levels.smallest"),
        ({"max_upscale": 2.0}, asked(ENLARGED), "levels.scale"),
        ({"max_upscale": 1.0}, asked(ENLARGED), "levels.no_upscaling"),
        ({"allow_models": ("small",)}, asked(), "model.not_here"),
        ({"block_models": ("#real",)}, asked(), "model.not_here"),
        ({"block_loras": ("#black",)}, asked(lora="ink"), "lora.not_here"),
        ({"allow_loras": ("only",)}, asked(lora="ink"), "lora.not_here"),
    ],
)
def test_what_is_not_allowed_is_refused(server: dict[str, Any], new: NewJob, code: str) -> None:
    assert refusal(new, ServerFields(**server)) == code
    enforce(new, resolve(Caps()), CATALOG)


@pytest.mark.parametrize(
    ("most", "size", "hires", "offered"),
    [
        (1.0, "1024x1024", None, "1000x1000"),
        (0.5, "1536x640", None, "976x512"),
        (0.5, "512x1024", None, "512x976"),
        (0.27, "1536x640", None, "520x512"),
        (1.1, "1024x1024", 1.5, "1024x1024"),
        (0.5, "1024x1024", 1.5, "704x704"),
    ],
)
def test_a_size_that_is_too_large_comes_with_one_that_is_allowed(
    most: float, size: str, hires: float | None, offered: str
) -> None:
    rules = resolve(Caps(), ServerFields(max_megapixels=most))
    with pytest.raises(InvalidRequest) as refused:
        enforce(asked(size=size, hires=hires), rules, CATALOG)
    assert refused.value.params["offered"] == offered
    enforce(asked(size=offered), rules, CATALOG)


def test_what_a_channel_turns_off_is_said_to_be_off_there() -> None:
    code = refusal(asked(), ServerFields(), ChannelFields(paint=False))
    assert code == "levels.no_painting.channel"


def test_the_forced_negative_is_added_once_to_every_text() -> None:
    rules = resolve(Caps(), ServerFields(forced_negative="ugly"))
    once = enforce(asked(negative="rain"), rules, CATALOG)
    assert once.request.negative == "rain, ugly"
    assert [notice.code for notice in once.warnings] == [ADDED]
    assert enforce(once, rules, CATALOG) == once
    repeated = enforce(replace(asked(negative="rain"), kind="reroll"), rules, CATALOG)
    assert [notice.code for notice in repeated.warnings] == [ADDED_AGAIN]
    sheet = enforce(asked(compared(2)), rules, CATALOG).request.comparison
    assert sheet is not None
    assert all(cell.negative.endswith("ugly") for cell in sheet.cells)
    enlarged = enforce(asked(ENLARGED), rules, CATALOG)
    assert (enlarged.request, enlarged.warnings) == (ENLARGED, ())


@pytest.mark.parametrize(("guidance", "void"), [(1.0, True), (1.5, False)])
def test_a_forced_negative_without_effect_is_said_to_have_none(guidance: float, void: bool) -> None:
    rules = resolve(Caps(), ServerFields(forced_negative="ugly"))
    plain = asked()
    new = replace(plain, request=replace(plain.request, guidance=guidance))
    once = enforce(new, rules, CATALOG)
    assert [notice.code for notice in once.warnings] == [ADDED, *([VOID] if void else [])]
    assert enforce(once, rules, CATALOG) == once
    assert enforce(new, resolve(Caps()), CATALOG).warnings == ()
    cells = replace(
        compared(2),
        comparison=Comparison(
            (Axis("guidance", ("1", "7")),),
            (
                replace(compared(1), comparison=None, guidance=guidance),
                replace(compared(1), comparison=None, guidance=7.0),
            ),
        ),
    )
    said = enforce(asked(cells), rules, CATALOG).warnings
    assert (Notice(VOID, {}) in said) is void


@pytest.mark.parametrize("negative", ["(rain, ugly", "[rain, ugly", "", "ugly:0.1), ugly", "ugly"])
def test_a_bracket_does_not_weaken_it(negative: str) -> None:
    request = replace(compose(Draft(prompt="a"), CATALOG, nsfw=True), negative=negative)
    made = with_negative(request, "ugly", CATALOG).negative
    closed = {"(": ",) ugly", "[": ",] ugly"}.get(negative[:1], "")
    assert made == (negative + closed or "ugly")


def test_a_forced_spoiler() -> None:
    rules = resolve(Caps(), ServerFields(forced_spoiler=True))
    origin = enforce(asked(), rules, CATALOG).origin
    assert isinstance(origin, Discord)
    assert origin.spoiler


async def test_what_a_place_sets_holds_for_its_jobs_and_elsewhere_nothing(store: Store) -> None:
    levels = Levels(store)
    admit = Enforcing(levels, lambda: CATALOG)
    place = Place(person="discord:1", community="discord:2", channel_id=3)
    await levels.change(Level.SERVER, place, {"max_steps": 30})
    assert (await admit(asked())).rules.steps_max == 30
    await levels.change(Level.SERVER, place, {"max_steps": 20})
    with pytest.raises(UserError):
        await admit(asked())
    assert (await admit(replace(asked(), origin=CommandLine()))).rules.steps_max is None


# What waits


WAITING = Place(person="discord:1", community="discord:2", channel_id=3)


async def rechecked(store: Store, new: NewJob, **server: Any) -> tuple[Job | None, Job]:
    """What becomes of a job that waits while the server sets this, and how it is stored then."""
    levels = Levels(store)
    job = await store.accept(new)
    await levels.change(Level.SERVER, WAITING, server)
    changed = await Rechecking(levels, store, lambda: CATALOG)(job)
    return changed, await store.job(job.id)


@pytest.mark.parametrize(
    ("server", "new", "code"),
    [
        ({"paint": False}, asked(), "levels.no_painting.server"),
        ({"block_models": ("base",)}, asked(), "model.not_here"),
        ({"allow_models": ("small",)}, asked(compared(2)), "model.not_here"),
        ({"block_loras": ("#black",)}, asked(lora="ink"), "lora.not_here"),
    ],
)
async def test_what_is_no_longer_allowed_is_not_generated(
    store: Store, server: dict[str, Any], new: NewJob, code: str
) -> None:
    with pytest.raises(JobFailed) as error:
        await rechecked(store, new, **server)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("server", "restricted", "expected"),
    [
        ({"max_steps": 1, "max_count": 1}, False, None),
        ({"forced_spoiler": True}, False, (True, "spoiler")),
        ({"image_check": "refuse"}, False, (False, "refuse")),
        ({"image_check": "off"}, False, None),
        ({"image_check": "refuse"}, True, None),
    ],
)
async def test_what_waits_is_shown_as_the_place_shows_images_by_then(
    store: Store, server: dict[str, Any], restricted: bool, expected: tuple[bool, str] | None
) -> None:
    mode: ImageCheck = "off" if restricted else "spoiler"
    origin = replace(Discord.of(asked().origin), image_check=mode, age_restricted=restricted)
    changed, stored = await rechecked(store, replace(asked(), origin=origin), **server)
    assert (changed is None) is (expected is None)
    shown = Discord.of(stored.origin)
    assert (shown.spoiler, shown.image_check) == (expected or (False, mode))
    if changed is not None:
        assert changed.origin == stored.origin


async def test_elsewhere_than_on_discord_nothing_is_asked_again(store: Store) -> None:
    new = replace(asked(), origin=CommandLine())
    assert (await rechecked(store, new, paint=False))[0] is None


# What is used where nothing was given


def filled(draft: Draft, *, nsfw: bool = False, **levels: Any) -> Draft:
    fields = {"server": ServerFields(), "channel": ChannelFields(), "person": PersonFields()}
    rules = resolve(Caps(), **{**fields, **levels})
    catalog = rules.offered(CATALOG)
    return with_defaults(draft, rules, catalog, nsfw=nsfw, adapters_max=4)


def test_a_persons_defaults() -> None:
    mine = PersonFields(
        model="small", loras="ink:0.5, only", size="16:9", steps=12, guidance=3, negative="rain"
    )
    draft = filled(Draft(prompt="a fox"), person=mine)
    request = compose(draft, CATALOG, nsfw=False)
    assert (request.model, request.steps, request.guidance) == ("small", 12, 3)
    assert [use.key for use in request.adapters] == ["ink", "only"]
    assert request.width / request.height == pytest.approx(16 / 9, 0.2)
    assert request.negative == "rain"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ({"model": "base"}, {"model": "base"}),
        ({"steps": 9}, {"steps": 9}),
        ({"lora": "only"}, {"lora": "only", "adapters": ()}),
        ({"prompt": "a <lora:only:1>"}, {"adapters": ()}),
        ({"size": "256x256"}, {"size": "256x256"}),
        ({"preset": "fast"}, {"steps": None, "guidance": None, "scheduler": None}),
        ({"negative": "snow"}, {"negative": "snow"}),
    ],
)
def test_what_is_typed_counts_for_more(typed: dict[str, Any], kept: dict[str, Any]) -> None:
    mine = PersonFields(
        model="small", loras="ink", size="512x256", steps=12, guidance=3, negative="rain"
    )
    draft = filled(Draft(**{"prompt": "a fox", **typed}), person=mine)
    assert {name: getattr(draft, name) for name in kept} == kept


def test_the_nearest_that_is_allowed() -> None:
    server = ServerFields(model="small", block_models=("base",), max_steps=10)
    draft = filled(
        Draft(prompt="a"), server=server, person=PersonFields(model="base", steps=50, loras="gone")
    )
    assert (draft.model, draft.steps, draft.adapters) == ("small", 10, ())
    gated = filled(
        Draft(prompt="a"), channel=ChannelFields(model="small"), person=PersonFields(model="adults")
    )
    assert gated.model == "small"


def test_a_sampler_that_is_gone_leaves_those_of_the_other_levels() -> None:
    rules = Rules(defaults=Defaults(scheduler=("Gone", "Euler")))
    draft = with_defaults(Draft(prompt="a"), rules, CATALOG, nsfw=False, adapters_max=4)
    assert draft.scheduler == "Euler"


@pytest.mark.parametrize("image", [None, Picture("a" * 64, 2000, 1000)])
def test_a_size_that_nobody_typed_is_made_to_fit(image: Picture | None) -> None:
    server = ServerFields(max_megapixels=0.5)
    draft = filled(Draft(prompt="a", image=image), server=server, person=PersonFields(size="1:1"))
    request = compose(draft, CATALOG, nsfw=False)
    assert request.width * request.height <= 500_000
    assert enforce(asked(request), resolve(Caps(), server), CATALOG)


@pytest.mark.parametrize("megapixels", [0.5, 1.0, 1.1, 2.0])
@pytest.mark.parametrize("extend", ["left", "zoom 2", "16:9", "around"])
def test_an_image_is_extended_within_the_limit(extend: str, megapixels: float) -> None:
    image = Picture("a" * 64, 1024, 1024)
    server = ServerFields(max_megapixels=megapixels)
    draft = filled(Draft(prompt="a", image=image, extend=extend), server=server)
    if extend == "around":
        assert draft.size is None
        return
    request = compose(draft, CATALOG, nsfw=False)
    assert request.width * request.height <= megapixels * 1e6
    before = compose(replace(draft, size=None), CATALOG, nsfw=False)
    assert request.width / request.height == pytest.approx(before.width / before.height, rel=0.05)
    assert request.init_image is not None
    box = request.init_image.box
    assert box is not None
    assert box.width / box.height == pytest.approx(1.0, rel=0.03)


def test_steps_that_nobody_typed_are_lowered() -> None:
    assert filled(Draft(prompt="a"), server=ServerFields(max_steps=12)).steps == 12
    assert filled(Draft(prompt="a"), server=ServerFields(max_steps=90)).steps is None


def test_pasted_generation_data_get_no_defaults() -> None:
    pasted = "a fox\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512"
    rules = resolve(Caps(), person=PersonFields(negative="rain", loras="ink"))

    def fill(draft: Draft) -> Draft:
        return with_defaults(draft, rules, CATALOG, nsfw=False, adapters_max=4)

    plain = compose(Draft(prompt=pasted), CATALOG, nsfw=False)
    assert compose(Draft(prompt=pasted), CATALOG, nsfw=False, fill=fill) == plain
    assert compose(Draft(prompt="a fox"), CATALOG, nsfw=False, fill=fill).negative == "rain"


def test_a_default_that_is_in_error_is_left_out() -> None:
    rules = resolve(Caps(), person=PersonFields(negative="{a|"))

    def fill(draft: Draft) -> Draft:
        return with_defaults(draft, rules, CATALOG, nsfw=False, adapters_max=4)

    assert compose(Draft(prompt="a fox"), CATALOG, nsfw=False, fill=fill).negative == ""
