"""What is blocked, by whom, is refused, restricted or reported, and looked for again later."""

import random
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import JobFailed, Refused
from bot.levels import Admit, Levels, Rules, admitted_as_it_is
from bot.levels.enforcing import Admitted
from bot.moderation.screening import Screening
from bot.moderation.word_list import Action, Blocked
from bot.moderation.words import Words
from bot.queue import JobQueue, Lane
from bot.queue.limits import Limits
from bot.request import AdapterUse, DrawnPrompts, Template
from bot.store import OWNER, ActKind, Api, CommandLine, Discord, NewJob, Origin, Previewing, Store
from catalog import Catalog, ModelEntry
from tests.moderation.screened import CATALOG, SERVER
from tests.store.factories import request

ADDED = "sternly forced"


async def forcing(new: NewJob) -> Admitted:
    """As in a place that adds to every negative prompt."""
    negative = f"{new.request.negative}, {ADDED}"
    rules = Rules(forced_negative=(ADDED,))
    return Admitted(replace(new, request=replace(new.request, negative=negative)), rules)


def asked(prompt: str = "a fox", **fields: Any) -> NewJob:
    origin: Origin = fields.pop("origin", None) or Discord(user_id=7, guild_id=100, channel_id=20)
    defaults: dict[str, Any] = {"negative": "", "adapters": (), "trigger_words": ()}
    return NewJob(request=request(prompt=prompt, **(defaults | fields)), origin=origin)


async def refusal(screening: Screening, new: NewJob) -> str | None:
    try:
        await screening(new)
    except Refused as refused:
        return str(refused)  # with its parameters, of which there are none
    return None


DEN = Discord(user_id=7, guild_id=100, channel_id=21, age_restricted=True)
CASES: dict[str, tuple[Action, dict[str, Any], str | None]] = {
    "prompt": ("refuse", {"prompt": "a zork"}, "words.refused"),
    "negative": ("refuse", {"negative": "zork"}, "words.refused_negative"),
    "the model's negative": ("refuse", {"negative": "usual zork"}, None),
    "LoRA": ("refuse", {"adapters": (AdapterUse("zork", 1.0),)}, "words.refused"),
    "trigger word": ("refuse", {"trigger_words": ("zork",)}, "words.refused"),
    "template": ("refuse", {"template": Template("a {fox|zork}", None, 1)}, "words.refused"),
    "wildcard": ("refuse", {"template": Template("a __coins__", None, 1)}, "words.refused"),
    "negative template": (
        "refuse",
        {"template": Template(None, "{ugly|zork}", 1)},
        "words.refused_negative",
    ),
    "another image": (
        "refuse",
        {"count": 2, "others": (DrawnPrompts("a zork", ""),)},
        "words.refused",
    ),
    "edited on the way": ("refuse", {"prompt": "zo[r:x:0.5]k", "edits": True}, "words.refused"),
    "in a den": ("refuse", {"prompt": "a zork", "origin": DEN}, "words.refused"),
    "restricted": ("restrict", {"prompt": "a zork"}, "words.restricted"),
    "both": ("refuse", {"prompt": "a zork", "negative": "zork"}, "words.refused"),
    "restricted negative": ("restrict", {"negative": "zork"}, "words.restricted_negative"),
    "restricted in a den": ("restrict", {"prompt": "a zork", "origin": DEN}, None),
    "reported": ("report", {"prompt": "a zork"}, None),
    "innocent": ("refuse", {"prompt": "a zorkish fox"}, None),
    "restricted where the bot is no member": (
        "restrict",
        {"prompt": "a zork", "origin": replace(DEN, absent=True)},
        "words.restricted",
    ),
    "gated": ("report", {"model": "adult"}, "repeat.gated"),
    "gated in a den": ("report", {"model": "adult", "origin": DEN}, None),
    "gated wildcard": ("report", {"template": Template("__nsfw/late__", None, 1)}, "repeat.gated"),
    "from the command line": ("refuse", {"prompt": "a zork", "origin": CommandLine()}, None),
}


async def test_what_becomes_of_a_job(screening: Screening, words: Words) -> None:
    for listed_by in (SERVER, OWNER):
        for case, (action, fields, expected) in CASES.items():
            await words.add(listed_by, Blocked("zork", "word", action), "discord:1")
            assert await refusal(screening, asked(**fields)) == expected, case
        await words.remove(listed_by, Blocked("zork"), "discord:1")


async def test_a_list_is_its_servers_alone(screening: Screening, words: Words) -> None:
    await words.add("discord:101", Blocked("zork"), "discord:1")
    assert await refusal(screening, asked("a zork")) is None
    await words.add(SERVER, Blocked("zork"), "discord:1")
    assert await refusal(screening, asked("a zork")) == "words.refused"
    alone = Discord(user_id=7, channel_id=20)
    assert await refusal(screening, asked("a zork", origin=alone)) is None


async def test_a_caller_over_http_is_bound_by_the_owners_list(
    store: Store, screening: Screening, words: Words
) -> None:
    await words.add(OWNER, Blocked("zork", "word", "restrict"), "discord:1")
    secrets = {nsfw: await store.api_keys.add(f"key {nsfw}", nsfw=nsfw) for nsfw in (True, False)}
    for nsfw, expected in ((True, None), (False, "words.restricted")):
        key = await store.api_keys.find(secrets[nsfw] or "")
        assert key is not None
        assert await refusal(screening, asked("a zork", origin=Api(key_id=key.id))) == expected


async def test_what_a_place_adds_to_negative_prompts_is_nobodys_word(
    store: Store, words: Words
) -> None:
    await words.add(SERVER, Blocked("forced"), "discord:1")
    screening = Screening(forcing, words, Levels(store), store, lambda: CATALOG)
    assert await refusal(screening, asked(negative="ugly")) is None
    assert await refusal(screening, asked(negative="forced")) == "words.refused_negative"


async def test_what_was_added_stays_nobodys_word_when_the_place_or_the_model_changes(
    store: Store, words: Words
) -> None:
    def screening(admit: Admit, catalog: Catalog) -> Screening:
        return Screening(admit, words, Levels(store), store, lambda: catalog)

    model = ModelEntry(key="demo", name="Demo", path="a/b", default_negative="something else")
    changed = Catalog({"demo": model}, {}, "demo")
    await words.add(OWNER, Blocked("forced"), "discord:1")
    before, after = screening(forcing, CATALOG), screening(admitted_as_it_is, changed)
    await words.add(SERVER, Blocked("zork"), "discord:1")
    job = await store.accept((await before(asked(negative="usual zork"))).new)
    await after.recheck(job)
    again = NewJob(request=job.request, origin=job.origin, parent_id=job.id)
    assert await refusal(after, again) is None
    form = asked(negative=f"{job.request.negative}, ugly")
    assert await refusal(after, replace(form, parent_id=job.id)) is None
    for typed in ("forced", "zork", "usual zorks, zork", "sternly  forced", "(sternly forced)"):
        own = asked(negative=f"{job.request.negative}, {typed}")
        said = await refusal(after, replace(own, parent_id=job.id))
        assert said == "words.refused_negative", typed
    assert await refusal(after, form) == "words.refused_negative"


@pytest.mark.parametrize("added", ["or", "zo"])
async def test_what_a_place_adds_hides_no_part_of_a_word(
    store: Store, words: Words, added: str
) -> None:
    async def forcing(new: NewJob) -> Admitted:
        return Admitted(new, Rules(forced_negative=(added,)))

    await words.add(SERVER, Blocked("zork"), "discord:1")
    screening = Screening(forcing, words, Levels(store), store, lambda: CATALOG)
    assert await refusal(screening, asked(negative="zork")) == "words.refused_negative"


async def test_negative_prompts_may_be_left_alone(store: Store, words: Words) -> None:
    await words.add(OWNER, Blocked("zork"), "discord:1")
    screening = Screening(
        admitted_as_it_is, words, Levels(store), store, lambda: CATALOG, negatives=False
    )
    template = Template(None, "{ugly|zork}", 1)
    assert await refusal(screening, asked(negative="zork", template=template)) is None
    assert await refusal(screening, asked("a zork", negative="zork")) == "words.refused"


async def found(store: Store) -> list[tuple[str | None, str | None, Any]]:
    return [
        (act.community, act.subject, act.details["words"])
        for act in await store.acts.untold()
        if act.kind == ActKind.WORDS_FOUND
    ]


async def test_what_is_found_is_told_to_each_list_once_the_job_is_accepted(
    store: Store, screening: Screening, words: Words
) -> None:
    await words.add(OWNER, Blocked("zork", "word", "report"), "discord:1")
    await words.add(SERVER, Blocked("fo.", "pattern", "report"), "discord:1")
    queue = JobQueue(store, [Lane()], admit=screening)
    new = asked("a zork and a fox")
    async with queue.reserving(new):
        assert await found(store) == []
        await queue.accept(new)
    assert await found(store) == [(None, new.id, "zork"), (SERVER, new.id, "fo.")]


async def test_what_is_found_in_what_is_shown_elsewhere_is_told_there_once(
    store: Store, screening: Screening, words: Words
) -> None:
    for server in (OWNER, SERVER, "discord:101"):
        await words.add(server, Blocked("zork", "word", "report"), "discord:1")
    job = (await JobQueue(store, [Lane()], admit=screening).accept(asked("a zork"))).job
    elsewhere = Discord(user_id=7, guild_id=101, channel_id=20)
    for _ in range(2):
        admitted = await screening(NewJob(request=job.request, origin=elsewhere, id=job.id))
        await store.acts.keep(admitted.acts)
    assert [server for server, _, _ in await found(store)] == [None, SERVER, "discord:101"]


async def test_nothing_is_told_of_a_job_that_is_not_accepted(
    store: Store, screening: Screening, words: Words
) -> None:
    await words.add(SERVER, Blocked("zork", "word", "report"), "discord:1")
    queue = JobQueue(store, [Lane()], Limits(quota=1), admit=screening)
    first = await queue.accept(asked("a zork"))
    for _ in range(3):
        with pytest.raises(Refused, match="quota"):
            await queue.accept(asked("a zork"))
    assert [job for _, job, _ in await found(store)] == [first.job.id]


@pytest.mark.parametrize(
    ("action", "origin", "code"),
    [
        ("refuse", None, "words.changed"),
        ("restrict", None, "words.changed_restricted"),
        ("restrict", DEN, None),
        ("report", None, None),
    ],
)
async def test_a_list_that_changed_while_a_job_waited_counts(
    store: Store,
    screening: Screening,
    words: Words,
    action: Action,
    origin: Origin | None,
    code: str | None,
) -> None:
    job = await store.accept((await screening(asked("a zork", origin=origin))).new)
    await screening.recheck(job)
    await words.add(SERVER, Blocked("zork", "word", action), "discord:1")
    assert await screening.flags(job) is (action == "restrict")
    if code is None:
        await screening.recheck(job)
        return
    with pytest.raises(JobFailed) as caught:
        await screening.recheck(job)
    assert caught.value.code == code
    await words.remove(SERVER, Blocked("zork"), "discord:1")
    await screening.recheck(job)


@pytest.mark.parametrize(
    ("action", "origin", "code"),
    [
        ("refuse", None, "describe.blocked"),
        ("restrict", None, "describe.restricted"),
        ("restrict", DEN, None),
        ("report", None, None),
        ("refuse", CommandLine(), None),
    ],
)
async def test_words_for_an_image_are_looked_at_before_anyone_sees_them(
    store: Store,
    screening: Screening,
    words: Words,
    action: Action,
    origin: Origin | None,
    code: str | None,
) -> None:
    job = await store.accept((await screening(asked("", origin=origin))).new)
    await words.add(SERVER, Blocked("zork", "word", action), "discord:1")
    await screening.screen(job, "a fox")
    if code is None:
        await screening.screen(job, "a zork in the snow")
    else:
        with pytest.raises(JobFailed) as caught:
            await screening.screen(job, "a zork in the snow")
        assert caught.value.code == code
    # And again when they are shown.
    flagged = action == "restrict"
    assert await screening.flags(replace(job, words="a zork in the snow")) is flagged
    assert not await screening.flags(replace(job, words="a fox"))


async def test_a_list_that_takes_too_long_refuses_in_its_server_alone(
    store: Store, screening: Screening, words: Words
) -> None:
    for n in range(2):
        await words.add(SERVER, Blocked("[ab]" + ".{50}" * 14 + f"q{n}", "pattern"), "discord:1")
    long = "".join(random.Random(1).choices("abcdefgh", k=4_000))
    assert await refusal(screening, asked("a fox")) is None
    assert await refusal(screening, asked(long)) == "words.too_complex"
    elsewhere = Discord(user_id=7, guild_id=101, channel_id=20)
    assert await refusal(screening, asked(long, origin=elsewhere)) is None
    job = await store.accept(asked(long))
    assert await screening.flags(job)
    with pytest.raises(JobFailed, match="too_complex"):
        await screening.recheck(job)


async def test_a_preview_may_have_what_is_only_shown_where_its_entry_is(
    store: Store, screening: Screening, words: Words
) -> None:
    await words.add(OWNER, Blocked("zork", "word", "restrict"), "discord:1")
    of_adult = asked("a zork", origin=Previewing(), model="adult")
    assert await refusal(screening, of_adult) is None
    await screening.recheck(await store.accept(of_adult))
    assert await refusal(screening, asked("a zork", origin=Previewing())) == "words.restricted"
    template = Template("a __nsfw/late__", None, 1)
    assert await refusal(screening, asked(origin=Previewing(), template=template)) == "repeat.gated"
