"""What is stored of one person: counted, and erased without a trace."""

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

from bot.store import ActKind, Failure, Span, Store, Usage, now_ms
from bot.store.forms import Entered
from bot.store.history import Query
from tests.store.factories import discord_origin, done, new_job, request, running

SECRET = "zyzzyvaprompt"
WHO, OTHER = 1_234_567_890_123_456_789, 77


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def traces(folder: Path) -> list[str]:
    """What a byte search finds of the person."""
    found = bytes_of(folder)
    forms = {
        "prompt": SECRET.encode(),
        "id": str(WHO).encode(),
        "number": WHO.to_bytes(8, "big"),
    }
    return [name for name, form in forms.items() if form in found]


async def forget(store: Store, span: Span | None = None, *, hand_over: bool = False) -> None:
    forgettings = store.personal.forgettings
    await forgettings.begin(f"discord:{WHO}", span or Span.everything(), hand_over=hand_over)
    [asked] = await forgettings.waiting()
    while jobs := await forgettings.erasable(asked):
        await forgettings.erase(jobs)
    await forgettings.finish(asked)
    await store.history.forget()
    await forgettings.rewrite()


def execute(store: Store, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(store._database.path)) as connection, connection:
        connection.execute(sql, values)


def all_rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(store._database.path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'history%'"
        )
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}


async def asked(store: Store, user_id: int, word: str, n: int, **fields: object) -> str:
    """A delivered job; returns its id."""
    new = new_job(
        request=request(prompt=f"{word} number {n}"),
        user_id=user_id,
        guild_id=5,
        channel_id=20,
        **fields,
    )
    job = await done(store, new)
    await store.deliver(job, 20, user_id % 1_000_000 * 1_000 + n)
    return job.id


async def fill(store: Store, user_id: int, word: str, jobs: int) -> list[str]:
    """Everything that can be stored of a person; returns the ids of their delivered jobs."""
    person = f"discord:{user_id}"
    ids = [await asked(store, user_id, word, n) for n in range(jobs)]
    failed = await running(store, new_job(request=request(prompt=word), user_id=user_id))
    given_up = await store.fail(failed, Failure("job.memory", {}))
    assert given_up is not None
    await store.tell(given_up)
    cancelled = await store.cancel(await store.accept(new_job(user_id=user_id)))
    assert cancelled is not None
    await store.tell(cancelled)
    await store.forms.keep(person, Entered("edit:x", {"prompt": word}))
    execute(store, "INSERT INTO favourites VALUES (?, ?, 1)", person, ids[0])
    options = json.dumps({"prompt": word})
    for name, community in ((f"{word}-own", None), (f"{word}-shared", "discord:5")):
        values = (f"{user_id}{name}", person, community, name, name, options)
        execute(store, "INSERT INTO presets VALUES (?, ?, ?, ?, ?, ?, 1)", *values)
    report = (f"r{user_id}", ids[0], person, word)
    execute(
        store,
        "INSERT INTO reports (id, job_id, reporter, reason, made_at) VALUES (?, ?, ?, ?, 1)",
        *report,
    )
    execute(
        store,
        "INSERT INTO acts (at, actor, kind, details) VALUES (1, ?, 'reported', ?)",
        person,
        json.dumps({"word": word}),
    )
    execute(
        store,
        "INSERT INTO level_settings VALUES ('person', ?, NULL, ?, 1)",
        person,
        json.dumps({"negative": word}),
    )
    return ids


async def test_nothing_is_left_of_a_person_and_all_of_another(store: Store, tmp_path: Path) -> None:
    execute(
        store,
        "INSERT INTO acts (at, actor, kind, subject, details)"
        " VALUES (1, 'discord:1', 'result_deleted', 'x', ?)",
        json.dumps({"owner": str(WHO)}),
    )
    theirs = await fill(store, OTHER, "otherword", 3)
    before = all_rows(store)
    ids = await fill(store, WHO, SECRET, 40)
    assert sorted(traces(tmp_path)) == ["id", "number", "prompt"]
    await forget(store)
    assert traces(tmp_path) == []
    assert not [job_id for job_id in ids if job_id.encode() in bytes_of(tmp_path)]
    after = all_rows(store)
    messages = {message_id for message_id, *_ in after.pop("forgotten_messages")}
    assert messages == {WHO % 1_000_000 * 1_000 + n for n in range(40)}
    for table in ("settings", "acts", "forgotten_messages"):
        before.pop(table, None)
        after.pop(table, None)
    assert after == before
    found = await store.history.page(f"discord:{OTHER}", Query(words="otherword"), 9)
    assert len(found) == 3
    assert await store.history.page(f"discord:{WHO}", Query(words=SECRET), 9) == []
    assert (await store.job(theirs[0])).request.prompt == "otherword number 0"


async def test_what_others_made_of_it_keeps_a_parent_that_says_nothing(
    store: Store, tmp_path: Path
) -> None:
    [original, middle] = [await asked(store, WHO, SECRET, n) for n in range(2)]
    made = await asked(store, OTHER, "otherword", 1, parent_id=original)
    own = await asked(store, WHO, SECRET, 3, parent_id=middle)
    await forget(store)
    assert traces(tmp_path) == []
    parent = await store.job((await store.job(made)).parent_id or "")
    assert (parent.id, parent.person, parent.created_at) == (original, "", 0)
    assert parent.origin.name == "forgotten"
    assert await store.images(original) == ()
    assert await store.find(middle) is None
    assert await store.find(own) is None
    # It goes with the last job that refers to it.
    await store.personal.forgettings.begin(f"discord:{OTHER}", Span.everything(), hand_over=False)
    [request_of_other] = await store.personal.forgettings.waiting()
    await store.personal.forgettings.erase(
        await store.personal.forgettings.erasable(request_of_other)
    )
    await store.personal.forgettings.finish(request_of_other)
    assert await store.find(original) is None


async def test_only_what_is_in_the_span_goes(store: Store) -> None:
    jobs = [await asked(store, WHO, SECRET, n) for n in range(3)]
    for n, job_id in enumerate(jobs):
        execute(store, "UPDATE jobs SET created_at = ? WHERE id = ?", (n + 1) * 1_000, job_id)
    await store.personal.forgettings.begin(f"discord:{WHO}", Span(2_000, 3_000), hand_over=False)
    [asked_for] = await store.personal.forgettings.waiting()
    erasable = await store.personal.forgettings.erasable(asked_for)
    assert [each.job_id for each in erasable] == [jobs[1]]
    await store.personal.forgettings.erase(erasable)
    execute(
        store, "INSERT INTO level_settings VALUES ('person', ?, NULL, '{}', 1)", f"discord:{WHO}"
    )
    await store.personal.forgettings.finish(asked_for)
    assert [await store.find(job_id) is None for job_id in jobs] == [False, True, False]
    assert all_rows(store)["level_settings"]


async def test_a_shared_preset_can_be_left_to_its_server(store: Store) -> None:
    await fill(store, WHO, SECRET, 1)
    await forget(store, hand_over=True)
    [preset] = all_rows(store)["presets"]
    assert preset[1:4] == ("", "discord:5", f"{SECRET}-shared")


async def test_a_blocked_person_stays_blocked(store: Store, tmp_path: Path) -> None:
    columns = {row["name"] for row in await store._database.rows("PRAGMA table_info(blocks)")}
    values = {"blocked": f"discord:{WHO}", "within": "", "actor": "discord:1", "at": 1}
    if "kind" in columns:
        values["kind"] = "person"
    marks = ", ".join(f":{name}" for name in values)
    with closing(sqlite3.connect(store._database.path)) as connection, connection:
        connection.execute(f"INSERT INTO blocks ({', '.join(values)}) VALUES ({marks})", values)
    await forget(store)
    assert traces(tmp_path) == ["id"]
    holdings = await store.personal.holdings(f"discord:{WHO}", Span.everything())
    assert holdings.blocks == 1


async def test_what_waits_or_was_not_told_yet_is_erased_later(store: Store) -> None:
    waiting = await store.accept(new_job(user_id=WHO))
    finished = await done(store, new_job(user_id=WHO))
    await store.personal.forgettings.begin(f"discord:{WHO}", Span.everything(), hand_over=False)
    [asked_for] = await store.personal.forgettings.waiting()
    forgettings = store.personal.forgettings
    assert await forgettings.erasable(asked_for) == []
    assert {job.id for job in await forgettings.open_jobs(asked_for)} == {waiting.id, finished.id}
    cancelled = await store.cancel(waiting)
    assert cancelled is not None
    assert await forgettings.erasable(asked_for) == []
    await store.tell(cancelled)
    assert [each.job_id for each in await forgettings.erasable(asked_for)] == [waiting.id]


async def test_what_was_forgotten_today_still_counts_towards_limits(store: Store) -> None:
    for n in range(2):
        await asked(store, WHO, SECRET, n)
    person, now = f"discord:{WHO}", now_ms() / 1000
    before = await store.usage(person, now)
    assert len(before.images) == 2
    await forget(store)
    assert await store.usage(person, now) == before
    assert len((await store.usage(person, now)).within("discord:5").images) == 2
    assert (await store.usage(person, now + 2 * 24 * 3600)).images == ()
    seen: list[Usage] = []
    await store.accept(new_job(user_id=WHO), seen.append)
    assert seen[0].images == before.images


async def test_it_is_counted(store: Store) -> None:
    ids = await fill(store, WHO, SECRET, 3)
    await asked(store, OTHER, "otherword", 1, parent_id=ids[0])
    await store.accept(new_job(user_id=WHO))
    holdings = await store.personal.holdings(f"discord:{WHO}", Span.everything())
    assert (holdings.jobs, holdings.waiting, holdings.parents) == (6, 1, 1)
    assert (holdings.messages, holdings.images, holdings.bytes) == (3, 3, 3)
    assert (holdings.presets, holdings.shared_presets, holdings.favourites) == (1, 1, 1)
    assert (holdings.reports, holdings.forms, holdings.settings, holdings.blocks) == (1, 1, 1, 0)


async def test_rows_are_exported_as_they_are(store: Store) -> None:
    ids = await fill(store, WHO, SECRET, 3)
    person = f"discord:{WHO}"
    pages = [page async for page in store.personal.jobs(person, Span.everything())]
    rows = [rows for page in pages for rows in page]
    assert [each.job["id"] for each in rows][:1:-1] == ids
    assert rows[-1].job["request"]["prompt"] == f"{SECRET} number 0"
    assert rows[-1].asked is not None
    assert rows[-1].asked["user_id"] == WHO
    rest = await store.personal.rest(person, Span.everything())
    assert {table: len(found) for table, found in rest.items()} == {
        "favourites": 1,
        "presets": 2,
        "level_settings": 1,
        "forms": 1,
        "reports": 1,
        "acts": 1,
        "blocks": 0,
        "blocked_words": 0,
        "disabled_entries": 0,
        "sent_again": 0,
        "quota_resets": 0,
    }
    others = await store.personal.rest(f"discord:{OTHER}", Span.everything())
    assert not any(others.values())


async def test_what_sqlite_leaves_inside_its_pages_is_overwritten(
    store: Store, tmp_path: Path
) -> None:
    """Rows of many sizes that grow later, so that they are moved from page to page."""
    number = random.Random(1)
    people = [(WHO, SECRET) if number.random() < 0.1 else (OTHER, "x") for _ in range(3_000)]
    with closing(sqlite3.connect(store._database.path)) as connection, connection:
        connection.execute("PRAGMA secure_delete = ON")
        for n, (user_id, word) in enumerate(people):
            asked_for = json.dumps({"prompt": f"{word} {'y' * number.randrange(600)}"})
            connection.execute(
                "INSERT INTO jobs (id, origin, kind, state, request, person, created_at, told_at)"
                " VALUES (?, 'discord', 'imagine', 'failed', ?, ?, ?, 1)",
                (f"{n:010}", asked_for, f"discord:{user_id}", n),
            )
            if n > 5:
                other = number.randrange(n - 5, n)
                grown = f"{people[other][1]} {'z' * number.randrange(1_500)}"
                sql = "UPDATE jobs SET recipe = ? WHERE id = ?"
                connection.execute(sql, (json.dumps({"prompt": grown}), f"{other:010}"))
    await forget(store)
    assert traces(tmp_path) == []
    [row] = await store._database.rows("SELECT count(*) AS n FROM jobs")
    assert row["n"] == sum(user_id == OTHER for user_id, _ in people)


async def test_settings_that_were_changed_after_it_was_confirmed_stay(store: Store) -> None:
    before = Span.everything()
    sql = "INSERT INTO level_settings VALUES ('person', ?, NULL, '{}', ?)"
    execute(store, sql, f"discord:{WHO}", before.until + 1_000)
    await forget(store, before)
    assert all_rows(store)["level_settings"]


async def test_whoever_was_to_decide_a_report_is_told_that_it_is_gone(store: Store) -> None:
    reported = await asked(store, WHO, SECRET, 1)
    others = await asked(store, OTHER, "otherword", 1)
    decided = await asked(store, WHO, SECRET, 2)
    told, place = list[str](), discord_origin(guild_id=5, channel_id=20)
    for job_id, reporter in ((reported, OTHER), (others, WHO), (decided, OTHER)):
        await store.reports.add(await store.job(job_id), f"discord:{reporter}", "why", place)
    execute(store, "UPDATE reports SET decision = 'dismissed' WHERE job_id = ?", decided)
    store.acts.on_recorded(lambda: told.append("acts"))
    await forget(store)
    gone = [act for act in await store.acts.untold() if act.kind is ActKind.REPORT_GONE]
    assert [(act.actor, act.community) for act in gone] == [("", "discord:5")] * 2
    assert told


async def test_what_moderators_did_to_a_person_is_exported_without_their_names(
    store: Store,
) -> None:
    person = f"discord:{WHO}"
    await store.acts.record(kind=ActKind.BLOCKED, actor="discord:1", subject=person, why="x")
    [act] = (await store.personal.rest(person, Span.everything()))["acts"]
    assert (act["actor"], act["subject"], act["details"]) == (None, person, None)
