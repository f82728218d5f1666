"""What is asked for at every request, start and tidying is found by an index, however long the
history is."""

import re
from collections.abc import Awaitable, Callable

import pytest

from bot.request import Options
from bot.store import ActKind, Erasable, JobState, NewAct, Span, Store
from bot.store.history import Query
from bot.store.presets import SavedPreset
from tests.queue.lanes import ORIGINS
from tests.store.factories import any_job, done, new_job

Ask = Callable[[Store], Awaitable[object]]


async def accept(store: Store) -> None:
    await store.accept(new_job(), lambda _: None)


async def page(store: Store) -> None:
    async for _ in store.kept_images.pages():
        break


SPAN = Span(0, 10**15)
PRESET = SavedPreset("x", "discord:7", "discord:1", "x", Options(), 0)


async def rows(store: Store) -> None:
    async for _ in store.personal.jobs("discord:7", SPAN):
        break
    await store.personal.rest("discord:7", SPAN)


async def forget(store: Store) -> None:
    forgettings = store.personal.forgettings
    asked = await forgettings.begin("discord:7", SPAN, hand_over=True)
    await forgettings.open_jobs(asked)
    await forgettings.erase([Erasable("x", (), ("a" * 64,)), *await forgettings.erasable(asked)])
    await forgettings.finish(asked)


async def begin_deletion(store: Store) -> None:
    job = await done(store)
    await store.deliver(job, 20, 30)
    assert await store.deletions.begin(job.id)


ASKED: dict[str, Ask] = {
    "usage": lambda store: store.usage("discord:7", 1e9),
    "accept": accept,
    "last_served": lambda store: store.last_served(["discord:7"]),
    "find": lambda store: store.find("x"),
    "job_of": lambda store: store.messages.job_of(1),
    "jobs_in": lambda store: store.jobs_in(JobState.PENDING, ORIGINS),
    "untold": lambda store: store.untold(ORIGINS),
    "painted": lambda store: store.painted(ORIGINS),
    "requeue_all": lambda store: store.requeue_all(ORIGINS),
    "innocent": lambda store: store.requeue_all(ORIGINS, innocent=True),
    "images": lambda store: store.images("x"),
    "kept_images": page,
    "kept_bytes": lambda store: store.kept_images.bytes(),
    "input_uses": lambda store: store.input_uses.of_all(["a" * 64, "b" * 64]),
    "input_use": lambda store: store.input_uses.of("a" * 64),
    "known_weights": lambda store: store.known_weights.recent(),
    "environment": lambda store: store.known_weights.environment(),
    "form": lambda store: store.forms.find("x", "discord:7"),
    "words": lambda store: store.words.of("discord:1"),
    "add_word": lambda store: store.words.add(
        "discord:1", "zork", kind="word", action="refuse", by="discord:7", most=9, act={}
    ),
    "keep_acts": lambda store: store.acts.keep(
        [NewAct(kind=ActKind.WORDS_FOUND, actor="discord:7", subject="x")]
    ),
    "remove_word": lambda store: store.words.remove(
        "discord:1", "zork", kind="word", by="discord:7", act={}
    ),
    "uses of a person": lambda store: store.uses.of_person("discord:7", 0, 500),
    "uses of all": lambda store: store.uses.page(1_000, 0, 2_000),
    "presets": lambda store: store.presets.of("discord:7", "discord:1"),
    "own_preset": lambda store: store.presets.own("discord:7", "x"),
    "shared_preset": lambda store: store.presets.shared("discord:1", "x"),
    "save_preset": lambda store: store.presets.save("discord:7", "x", Options(), replace=True),
    "share_preset": lambda store: store.presets.save(
        "discord:7", "x", Options(), community="discord:1", replace=True
    ),
    "delete_preset": lambda store: store.presets.delete(PRESET, "discord:7"),
    "levels": lambda store: store.levels.of(
        [("server", "discord:2"), ("channel", "discord:3"), ("person", "discord:1")]
    ),
    "deletions": lambda store: store.deletions.unfinished(),
    "holdings": lambda store: store.personal.holdings("discord:7", SPAN),
    "exported": rows,
    "forgotten": forget,
    "history": lambda store: store.history.page("discord:7", Query(words="a bc 猫"), 6),
    "newer": lambda store: store.history.page("discord:7", Query(), 6, after=1),
    "caught_up": lambda store: store.history.caught_up(),
    "forget": lambda store: store.history.forget(person="discord:7"),
    "favourites": lambda store: store.favourites.page("discord:7", 6),
    "newer_favourites": lambda store: store.favourites.page("discord:7", 6, after=1),
    "keep": lambda store: store.favourites.keep("discord:7", "x"),
    "drop": lambda store: store.favourites.drop("discord:7", "x"),
    "sent_again": lambda store: store.sent_again.of("x"),
    "of_person": lambda store: store.figures.of_person("discord:7", 0, 9),
    "of_community": lambda store: store.figures.of_community("discord:1", 0, 9),
    "begin_deletion": begin_deletion,
    "begin_elsewhere": lambda store: store.deletions.begin_elsewhere(
        any_job(), [1], moderator="discord:7", community="discord:1"
    ),
    "removable": lambda store: store.personal.forgettings.messages(9),
    "refuse_message": lambda store: store.personal.forgettings.refuse_message(1),
    "drop_message": lambda store: store.personal.forgettings.drop_message(1),
    "erase_tokens": lambda store: store.messages.erase_tokens(),
    "failures": lambda store: store.failures(0),
    "acts": lambda store: store.acts.page("discord:1"),
    "acts_untold": lambda store: store.acts.untold(),
    "acts_count": lambda store: store.acts.count_untold(),
    "withhold": lambda store: store.image_checks.withhold(any_job(), "private", "flagged"),
    "set_shown": lambda store: store.messages.set_shown("x", True, "refuse"),
    "blocks_within": lambda store: store.blocks.within("discord:1"),
    "report_made": lambda store: store.reports.made("x", "discord:7"),
    "report": lambda store: store.reports.find("x"),
    "reports_open": lambda store: store.reports.count_open(),
}


HISTORY = re.compile(
    r"SCAN (jobs|images|discord_jobs|favourites|sent_again|history_entries|entry|acts|blocks"
    r"|reports|presets|level_settings|blocked_words)\b"
    r"(?! USING (COVERING )?INDEX (jobs_by|jobs_failed|images_kept|acts_untold|reports_open))"
)
"""All of a table. An index that holds nothing but what is wanted may be gone through."""


@pytest.mark.parametrize("name", ASKED)
async def test_no_table_of_the_history_is_read_from_end_to_end(store: Store, name: str) -> None:
    said: list[str] = []
    database = store._database
    await store.accept(new_job())
    await database._reader.set_trace_callback(said.append)
    await database.write(lambda connection: connection.set_trace_callback(said.append))
    await ASKED[name](store)
    statements = [sql for sql in said if re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT)", sql)]
    assert statements
    for sql in statements:
        plan = [row["detail"] for row in await database.rows(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [step for step in plan if HISTORY.match(step)], sql
