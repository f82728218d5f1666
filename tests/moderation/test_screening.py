"""What is blocked, by whom, is refused, restricted or reported, and looked for again later."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.errors import InvalidRequest, JobFailed, Refused, StoreError
from bot.levels import Admit, Levels, Rules, admitted_as_it_is
from bot.levels.enforcing import Admitted
from bot.moderation.owner_file import OwnerFile, entry_of, typed_entry
from bot.moderation.screening import Screening
from bot.moderation.texts import Checked
from bot.moderation.word_list import PATTERN_STATES_MAX, Action, Blocked
from bot.moderation.words import Words
from bot.queue import JobQueue, Lane
from bot.queue.limits import Limits
from bot.request import AdapterUse, DrawnPrompts, Template
from bot.store import OWNER, ActKind, Api, CommandLine, Discord, NewJob, Origin, Previewing, Store
from bot.texts.language import Texts
from catalog import AdapterEntry, Catalog, ModelEntry, WildcardFile, Wildcards
from tests.store.factories import request

SERVER = "discord:100"
ADDED = "sternly forced"
CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo", path="a/b", default_negative="usual zork"),
        "adult": ModelEntry(key="adult", name="Adult", path="a/b", nsfw=True),
    },
    {"zork": AdapterEntry(key="zork", name="Z", path="a/b")},
    "demo",
    wildcards=Wildcards(
        {"nsfw/late": WildcardFile(("late",)), "coins": WildcardFile(("penny", "zork"))}
    ),
)


async def forcing(new: NewJob) -> Admitted:
    """As in a place that adds to every negative prompt."""
    negative = f"{new.request.negative}, {ADDED}"
    rules = Rules(forced_negative=(ADDED,))
    return Admitted(replace(new, request=replace(new.request, negative=negative)), rules)


@pytest.fixture
def words(store: Store, tmp_path: Path) -> Words:
    return Words(store, lambda: CATALOG, OwnerFile(tmp_path / "blocked_words.txt"))


@pytest.fixture
def screening(store: Store, words: Words) -> Screening:
    return Screening(admitted_as_it_is, words, Levels(store), store, lambda: CATALOG)


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
    "negative": ("refuse", {"negative": "zork"}, "words.refused"),
    "the model's negative": ("refuse", {"negative": "usual zork"}, None),
    "LoRA": ("refuse", {"adapters": (AdapterUse("zork", 1.0),)}, "words.refused"),
    "trigger word": ("refuse", {"trigger_words": ("zork",)}, "words.refused"),
    "template": ("refuse", {"template": Template("a {fox|zork}", None, 1)}, "words.refused"),
    "wildcard": ("refuse", {"template": Template("a __coins__", None, 1)}, "words.refused"),
    "negative template": (
        "refuse",
        {"template": Template(None, "{ugly|zork}", 1)},
        "words.refused",
    ),
    "another image": (
        "refuse",
        {"count": 2, "others": (DrawnPrompts("a zork", ""),)},
        "words.refused",
    ),
    "edited on the way": ("refuse", {"prompt": "zo[r:x:0.5]k", "edits": True}, "words.refused"),
    "in a den": ("refuse", {"prompt": "a zork", "origin": DEN}, "words.refused"),
    "restricted": ("restrict", {"prompt": "a zork"}, "words.restricted"),
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
    assert await refusal(screening, asked(negative="forced")) == "words.refused"


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
        assert await refusal(after, replace(own, parent_id=job.id)) == "words.refused", typed
    assert await refusal(after, form) == "words.refused"


@pytest.mark.parametrize("added", ["or", "zo"])
async def test_what_a_place_adds_hides_no_part_of_a_word(
    store: Store, words: Words, added: str
) -> None:
    async def forcing(new: NewJob) -> Admitted:
        return Admitted(new, Rules(forced_negative=(added,)))

    await words.add(SERVER, Blocked("zork"), "discord:1")
    screening = Screening(forcing, words, Levels(store), store, lambda: CATALOG)
    assert await refusal(screening, asked(negative="zork")) == "words.refused"


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


async def test_a_change_of_a_list_is_told_and_none_is_not(store: Store, words: Words) -> None:
    for community in (SERVER, OWNER):
        for action in ("refuse", "refuse", "report"):
            await words.add(community, Blocked("zork", "word", action), "discord:1")
        await words.remove(community, Blocked("zork"), "discord:2")
    told = [(act.actor, act.community, dict(act.details)) for act in await store.acts.untold()]
    assert told == [
        (actor, community, {"word": "zork", "added": added} | ({"action": action} if added else {}))
        for community in (SERVER, None)
        for actor, added, action in (
            ("discord:1", True, "refuse"),
            ("discord:1", True, "report"),
            ("discord:2", False, ""),
        )
    ]


@pytest.mark.parametrize("call", ["add", "remove"])
async def test_a_change_that_cannot_be_told_is_not_made(
    store: Store, words: Words, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await words.add(SERVER, Blocked("zork"), "discord:1")

    def fail(*_: object) -> int:
        raise StoreError("the disk is full")

    monkeypatch.setattr("bot.store.words.insert_act", fail)
    with pytest.raises(StoreError):
        await getattr(words, call)(SERVER, Blocked("zork", "word", "report"), "discord:1")
    assert [row.action for row in await words.of(SERVER)] == ["refuse"]


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


async def test_what_is_kept_is_checked(words: Words) -> None:
    await words.add(SERVER, Blocked("zork"), "discord:1")
    await words.add(SERVER, Blocked("frob", "word", "restrict"), "discord:1")
    await words.check(Checked(("my zorkish style",)), SERVER, restricted=False)
    await words.check(Checked(("frob",)), SERVER, restricted=True)
    for texts, code in (
        (Checked(("fine", "my z.o.r.k style")), "words.refused"),
        (Checked((), ("{a|zork} {prompt}",)), "words.refused"),
        (Checked(("frob",)), "words.restricted"),
    ):
        with pytest.raises(Refused, match=code):
            await words.check(texts, SERVER, restricted=False)


async def test_a_list_has_its_limit_and_a_word_is_in_it_once(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.moderation.words.WORDS_MAX", 2)
    await words.add(SERVER, Blocked("zork"), "discord:1")
    await words.add(SERVER, Blocked("frob"), "discord:1")
    await words.add(SERVER, Blocked("zork", "word", "report"), "discord:2")
    with pytest.raises(Refused, match="full_word"):
        await words.add(SERVER, Blocked("quux"), "discord:1")
    await words.add(SERVER, Blocked("quux", "pattern"), "discord:1")
    rows = [(row.text, row.action, row.added_by) for row in await words.of(SERVER)]
    assert rows == [
        ("quux", "refuse", "discord:1"),
        ("frob", "refuse", "discord:1"),
        ("zork", "report", "discord:2"),
    ]
    with pytest.raises(Refused, match="not_listed"):
        await words.remove(SERVER, Blocked("frob", "pattern"), "discord:1")
    with pytest.raises(InvalidRequest):
        await words.add(SERVER, Blocked("(", "pattern"), "discord:1")


async def test_a_servers_patterns_have_room_for_so_many_places(words: Words) -> None:
    large = "[ab]" + ".{50}" * 12
    for n in range(3):
        await words.add(SERVER, Blocked(f"{large}q{n}", "pattern"), "discord:1")
    with pytest.raises(Refused, match="full_places") as caught:
        await words.add(SERVER, Blocked(f"{large}qq", "pattern"), "discord:1")
    assert caught.value.params["max"] == PATTERN_STATES_MAX
    sentence = Texts.read().speaker()(caught.value.code, **caught.value.params)
    assert f"{PATTERN_STATES_MAX:,}" in sentence
    # What it takes less space for, and what is the owner's own, may be added.
    await words.add(SERVER, Blocked(f"{large}q1", "pattern", "report"), "discord:1")
    await words.add(SERVER, Blocked("zork"), "discord:1")
    for n in range(4):
        await words.add(OWNER, Blocked(f"{large}q{n}", "pattern"), "discord:1")


async def test_a_servers_words_have_room_for_so_many_letters(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.moderation.words.STATES_MAX", 400)
    await words.add(SERVER, Blocked("zork"), "discord:1")
    with pytest.raises(Refused, match="full_size"):
        await words.add(SERVER, Blocked("xylophone" * 9), "discord:1")


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


async def test_the_lists_that_were_not_needed_for_longest_are_dropped(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.moderation.words.KEPT_MAX", 300)
    await words.add(OWNER, Blocked("zork"), "discord:1")
    servers = [f"discord:{n}" for n in range(100, 120)]
    for server in servers:
        await words.add(server, Blocked("zork"), "discord:1")
        await words.find(Checked(("a fox",)), server)
        assert sum(each.size for each in words._lists.values()) <= 300
    assert OWNER in words._lists
    assert servers[-1] in words._lists
    assert (await words.find(Checked(("a zork",)), servers[0])).has("refuse")


async def test_what_an_earlier_version_took_is_left_out(store: Store, words: Words) -> None:
    for text, kind in (("(", "pattern"), ("zork", "word")):
        await store.words.add(
            SERVER, text, kind=kind, action="refuse", by="discord:1", most=9, act={}
        )
    assert (await words.find(Checked(("a zork",)), SERVER)).has("refuse")


LINES: dict[str, Blocked] = {
    "zork": Blocked("zork"),
    "  red apple ": Blocked("red apple"),
    "/a|b/": Blocked("a|b", "pattern"),
    "report: zork": Blocked("zork", "word", "report"),
    "Restrict:/a+b/": Blocked("a+b", "pattern", "restrict"),
    "re: zork": Blocked("re: zork"),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_owners_file(line: str) -> None:
    assert entry_of(line) == LINES[line]


def test_what_is_typed_says_its_kind() -> None:
    assert typed_entry("/x/", "report") == Blocked("x", "pattern", "report")
    assert typed_entry("//", "refuse") == Blocked("//")


def test_the_file_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "blocked_words.txt"
    file = OwnerFile(path)
    assert file.entries() == ()
    path.write_text("# mine\n\nzork\n/(/\nx\n", encoding="utf-8")
    before = file.entries()
    assert before == (Blocked("zork"),)
    assert file.entries() is before
    assert ["line 4" in caplog.text, "line 5" in caplog.text] == [True, True]
    assert "zork" not in caplog.text
    path.write_bytes(b"\xef\xbb\xbffrobnicate\r\n\xff\xfe odd\r\n")
    assert file.entries()[0] == Blocked("frobnicate")
    path.unlink()
    assert file.entries() == ()


def test_a_file_that_cannot_be_read_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blocked_words.txt"
    path.write_text("zork\n", encoding="utf-8")
    file = OwnerFile(path)
    assert file.entries() == (Blocked("zork"),)

    def fail(*_: object) -> bytes:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "read_bytes", fail)
    path.write_text("something longer\n", encoding="utf-8")
    assert file.entries() == (Blocked("zork"),)
    monkeypatch.undo()
    assert file.entries() == (Blocked("something longer"),)


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
