"""/privacy, /export and /forget with the real process: nothing of a person is left, and all of
everyone else."""

import asyncio
import io
import json
import re
import signal
import sqlite3
from contextlib import closing
from typing import Any
from zipfile import ZipFile

import pytest

from bot.store import COLUMNS
from bot.store.personal.rows import JSON_COLUMNS
from playground import File, Interaction, Message, Playground, User
from tests.e2e.home import Bot, Home
from tests.e2e.results import job_of
from tests.e2e.test_actions import press, result, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORD = "quokkaforgets"
"""In what the person writes who is forgotten, and nowhere else."""


def found_of(home: Home, user: User, images: list[bytes]) -> dict[str, list[str]]:
    """What a search through every byte below the data folder finds of a person, by file."""
    forms = {
        "word": WORD.encode(),
        "id": str(user.id).encode(),
        "number": user.id.to_bytes(8, "big"),
        **{f"image {n}": data[100:300] for n, data in enumerate(images)},
    }
    found: dict[str, list[str]] = {}
    for file in sorted(home.data_dir.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            data += file.name.encode()
            if kinds := [kind for kind, form in forms.items() if form in data]:
                found[str(file.relative_to(home.data_dir))] = kinds
    return found


def insert(home: Home, user: User, job_id: str, word: str) -> None:
    """What there is of a person besides their jobs."""
    person = f"discord:{user.id}"
    now = 10**12
    with closing(sqlite3.connect(home.database, timeout=5)) as database, database:
        database.execute("INSERT INTO favourites VALUES (?, ?, ?)", (person, job_id, now))
        database.execute(
            "INSERT INTO presets VALUES (?, ?, NULL, ?, ?, ?, ?)",
            (f"p{user.id}", person, word, word, json.dumps({"prompt": word}), now),
        )
        database.execute(
            "INSERT INTO level_settings VALUES ('person', ?, NULL, '{}', ?)", (person, now)
        )
        database.execute(
            "INSERT INTO acts (at, actor, kind, details, told_at)"
            " VALUES (?, ?, 'preset_shared', ?, 1)",
            (now, person, json.dumps({"name": word})),
        )
        database.execute(
            "INSERT OR REPLACE INTO reports (id, job_id, reporter, reason, made_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (f"r{user.id}", job_id, person, word, now),
        )


def rows_of(home: Home, user: User) -> dict[str, list[tuple[Any, ...]]]:
    """All that the database has of a person, by table."""
    person = f"discord:{user.id}"
    jobs = f"(SELECT id FROM jobs WHERE person = '{person}')"
    return {
        "jobs": home.rows(f"SELECT * FROM jobs WHERE person = '{person}' ORDER BY id"),
        "discord_jobs": home.rows(f"SELECT * FROM discord_jobs WHERE job_id IN {jobs}"),
        "images": home.rows(f"SELECT * FROM images WHERE job_id IN {jobs} ORDER BY job_id, n"),
        "favourites": home.rows(f"SELECT * FROM favourites WHERE person = '{person}'"),
        "presets": home.rows(f"SELECT * FROM presets WHERE person = '{person}'"),
        "forms": home.rows(f"SELECT * FROM forms WHERE person = '{person}'"),
    }


async def lives(user: User, playground: Playground, home: Home, word: str) -> list[Message]:
    """Everything that a person can do; returns the results."""
    first = await painted(user, prompt=f"a {word}", negative=f"no {word}", seed=7, count=2)
    given = File("me.png", picture((64, 64), shade=int(user.id) % 200))
    over = await painted(user, prompt=word, image=given, strength=0.5, seed=8)
    call = await user.slash("compare", prompt=word, axis="steps", values="1, 2", seed=9)
    sheet = await call.wait(lambda m: bool(m.attachments), timeout=60)
    call = await user.slash("upscale", image=given)
    larger = await call.wait(lambda m: bool(m.attachments), timeout=60)
    form = await press(user, first, "edit")
    await user.submit(form, {"prompt": word, "more": f"steps: {word}"})
    insert(home, user, job_of(first), word)
    return [first, over, sheet, larger]


async def forget(user: User, **options: Any) -> Interaction:
    """Ask to be forgotten, and press the button."""
    asked = await user.slash_options("forget", options)
    sure = await asked.wait(lambda m: bool(m.components))
    assert sure.ephemeral
    return await user.click(sure, "Delete for good")


async def gone(playground: Playground, message: Message) -> None:
    await playground.core.signal.wait_for(
        lambda: message.deleted, 60, lambda: f"{message} is still there"
    )


async def test_nothing_is_left_of_who_is_forgotten_and_all_of_the_others(
    shared: Bot, playground: Playground, ada: User
) -> None:
    home = shared.home
    bea = playground.user("bea-stays")
    kept = await painted(bea, prompt="wombatstays", seed=4)
    insert(home, bea, job_of(kept), "wombatstays")
    results = await lives(ada, playground, home, WORD)
    # Someone else goes on from one of them, with other words.
    form = await press(bea, results[0], "edit")
    made = await result(
        await bea.submit(form, {"prompt": "wombatstays", "negative": "", "more": "seed: 3"})
    )
    # It is to be cancelled.
    running = await ada.slash("imagine", prompt=WORD, steps=100, size="512x512", count=4)
    images = [
        await playground.download(attachment)
        for message in results
        for attachment in message.attachments
    ]
    assert {"word", "id", "number", "image 0"} <= {
        kind for kinds in found_of(home, ada, images).values() for kind in kinds
    }
    waited_for = running.message
    assert waited_for is not None
    before = rows_of(home, bea)
    jobs = [row[0] for row in rows_of(home, ada)["jobs"]]
    assert len(jobs) == 5

    confirmed = await forget(ada)
    assert confirmed.message is not None
    told = await confirmed.wait(lambda m: m.content.startswith("Done"), timeout=60)
    assert "no backups" in told.content or "Backups may still have it" in told.content
    assert found_of(home, ada, images) == {}
    assert rows_of(home, bea) == before
    paths = [str(path) for path in home.data_dir.rglob("*")]
    assert not [path for path in paths if any(job_id in path for job_id in jobs)]
    assert not kept.deleted
    [(parent,)] = home.rows(f"SELECT parent_id FROM jobs WHERE id = '{job_of(made)}'")
    [(person, origin)] = home.rows(f"SELECT person, origin FROM jobs WHERE id = '{parent}'")
    assert (person, origin) == ("", "forgotten")
    for message in (*results, waited_for):
        await gone(playground, message)
    # The button of what was made from it finds that there is nothing to compare with.
    again = await result(await press(bea, made, "same"))
    assert "Identical" in again.text
    nothing = await ada.slash("forget")
    refused = await nothing.wait(lambda m: "nothing about you" in m.content)
    assert refused.ephemeral


@pytest.mark.long
async def test_only_a_span_is_forgotten(shared: Bot, playground: Playground, ada: User) -> None:
    old = await painted(ada, prompt=WORD, seed=1)
    await painted(ada, prompt=WORD, seed=2)
    with closing(sqlite3.connect(shared.home.database, timeout=5)) as database, database:
        day = 1_700_000_000_000
        database.execute("UPDATE jobs SET created_at = ? WHERE id = ?", (day, job_of(old)))
    confirmed = await forget(ada, span="The last hour")
    meanwhile = await painted(ada, prompt=WORD, seed=3)
    await confirmed.wait(lambda m: m.content.startswith("Done"), timeout=60)
    ids = {row[0] for row in rows_of(shared.home, ada)["jobs"]}
    assert ids == {job_of(old), job_of(meanwhile)}
    await forget_all(ada, **{"from": "2023-11-14", "to": "2023-11-14"})
    assert [row[0] for row in rows_of(shared.home, ada)["jobs"]] == [job_of(meanwhile)]
    assert not meanwhile.deleted
    wrong = await ada.slash_options("forget", {"from": "yesterday"})
    assert "isn't a date" in said(wrong)
    both = await ada.slash("forget", span="The last hour", to="2026-11-30")
    assert "not both" in said(both)


def left_to_do(home: Home) -> bool:
    traces = "SELECT 1 FROM settings WHERE key = 'traces' AND value != ''"
    return bool(home.rows("SELECT 1 FROM forgettings") or home.rows(traces))


async def forget_all(user: User, **options: Any) -> None:
    confirmed = await forget(user, **options)
    await confirmed.wait(lambda m: m.content.startswith("Done"), timeout=60)


@pytest.mark.long
async def test_it_is_finished_after_a_crash(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada, bea = playground.user("ada-forgets"), playground.user("bea-stays")
        results = await lives(ada, playground, home, WORD)
        kept = await painted(bea, prompt="wombatstays", seed=4)
        images = [await playground.download(m.attachments[0]) for m in results]
        await ada.slash("imagine", prompt=WORD, steps=100, size="512x512", count=4)
        confirmed = await forget(ada)
        await confirmed.wait(lambda m: m.content.startswith("Deleting"))
        await bot.end(signal.SIGKILL)
        await bot.start()
        for message in results:
            await gone(playground, message)
        # The next process tells it, in the answer that the last one gave.
        await confirmed.wait(lambda m: m.content.startswith("Done"), timeout=60)
        while left_to_do(home):  # noqa: ASYNC110 – in another process
            await asyncio.sleep(0.05)
        assert found_of(home, ada, images) == {}
        assert [row[0] for row in rows_of(home, bea)["jobs"]] == [job_of(kept)]


def parsed(table: str, row: tuple[Any, ...], home: Home) -> dict[str, Any]:
    names = [name for _, name, *_ in home.rows(f"PRAGMA table_info({table})")]
    return {
        name: json.loads(value) if name in JSON_COLUMNS and value else value
        for name, value in zip(names, row, strict=True)
    }


async def test_an_export_has_every_row_and_every_byte(
    shared: Bot, playground: Playground, ada: User
) -> None:
    home = shared.home
    await lives(ada, playground, home, WORD)
    call = await ada.slash("export")
    assert call.ephemeral
    await call.wait(lambda m: "That's everything" in m.content, timeout=30)
    messages = [m for m in (call.original, *call.followups) if m is not None and m.attachments]
    files: dict[str, bytes] = {}
    for message in messages:
        assert message.ephemeral
        [attachment] = message.attachments
        assert re.fullmatch(r"imagen-\d{4}-\d\d-\d\d-\d+\.zip", attachment.filename)
        with ZipFile(io.BytesIO(await playground.download(attachment))) as part:
            assert part.testzip() is None
            files |= {name: part.read(name) for name in part.namelist()}

    stored = rows_of(home, ada)
    exported = [
        row for name in files if name.startswith("jobs/") for row in json.loads(files[name])
    ]
    by_id = {row["id"]: row for row in exported}
    assert len(by_id) == len(exported) == len(stored["jobs"]) > 0
    asked = {row[0]: parsed("discord_jobs", row, home) for row in stored["discord_jobs"]}
    for row in stored["jobs"]:
        job = parsed("jobs", row, home)
        own = by_id[job["id"]]
        assert {name: own[name] for name in job} == job
        assert own["asked"] == asked[job["id"]]
        images = [parsed("images", i, home) for i in stored["images"] if i[0] == job["id"]]
        assert own["images"] == images
        for image in images:
            kept = (home.data_dir / "images" / image["path"]).read_bytes()
            assert files[f"images/{image['path']}"] == kept
    for table in ("favourites", "presets", "forms"):
        assert json.loads(files[f"{table}.json"]) == [
            parsed(table, row, home) for row in stored[table]
        ]
        assert stored[table]
    inputs = {name for name in files if name.startswith("inputs/")}
    assert inputs
    for name in inputs:
        assert files[name] == (home.data_dir / name).read_bytes()
    columns = json.loads(files["columns.json"])
    for name in exported[0]:
        assert name in columns["jobs"] or name in ("asked", "images")
    assert set(columns) <= set(COLUMNS)
    assert "Times are milliseconds" in files["README.txt"].decode()
    assert not list((home.data_dir / "exports").glob("*"))
    again = await ada.slash("export")
    assert "just had an export" in said(again)


async def test_privacy_says_what_the_settings_say(ada: User) -> None:
    call = await ada.slash("privacy")
    assert call.ephemeral
    assert call.message is not None
    text = json.dumps(call.message.embeds[0])
    for expected in ("kept for 90 days", "at most 50 GiB", "Kept until you use </forget:"):
        assert expected in text


SECRET_WORD = "Xylocanary"
"""In everything that can be typed, and in no line of the log."""
TEXT, INTEGER, NUMBER, ATTACHMENT = 3, 4, 10, 11
GROUPS = (1, 2)


def leaves(options: list[dict[str, Any]], words: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """The commands of a group, each with its options."""
    inner = [option for option in options if option["type"] in GROUPS]
    if not inner:
        return [(words, options)]
    return [
        leaf
        for option in inner
        for leaf in leaves(option.get("options", []), f"{words} {option['name']}")
    ]


def filled(options: list[dict[str, Any]], n: int) -> dict[str, Any]:
    """Every text that a command takes, and what else it requires."""
    given: dict[str, Any] = {}
    for option in options:
        if option["type"] == TEXT and not option.get("choices"):
            given[option["name"]] = f"{SECRET_WORD} {n}"[: option.get("max_length", 100)]
        elif option["type"] == ATTACHMENT and option.get("required"):
            given[option["name"]] = File(f"{SECRET_WORD}.png", picture((64, 64), shade=n % 200))
        elif option.get("required"):
            choices = option.get("choices")
            given[option["name"]] = choices[0]["value"] if choices else option.get("min_value", 1)
    return given


async def tried(user: User, words: str, options: list[dict[str, Any]], n: int) -> None:
    """Complete a command and send it, with all that can be typed and with each of it alone."""
    every = filled(options, n)
    for option in options:
        if option.get("autocomplete"):
            await user.autocomplete_options(words, option["name"], SECRET_WORD, {})
    least = {o["name"]: every[o["name"]] for o in options if o.get("required")}
    for given in [every, *({**least, name: value} for name, value in every.items())]:
        await user.slash_options(words, given)


async def test_what_people_type_reaches_no_line_of_the_log(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(
        ada, prompt=f"{{{SECRET_WORD}|{SECRET_WORD}}} ({SECRET_WORD}:1.2)", negative=SECRET_WORD
    )
    chosen: dict[str, dict[str, Any]] = {"edit": {}, "compare": {"axis": ["prompt"]}}
    for action, selects in chosen.items():
        form = await press(ada, original, action)
        assert form.modal is not None
        names = [
            label["component"]["custom_id"]
            for label in form.modal["components"]
            if label["component"]["type"] == 4
        ]
        for name in names:
            form = await press(ada, original, action)
            await ada.submit(form, {**selects, name: f"{SECRET_WORD} {name}"})
    bea = playground.user("bea-reports")
    await bea.submit(await press(bea, original, "report"), {"reason": SECRET_WORD})
    commands = playground.core.world.visible_commands(playground.guild)
    slash = [command for command in commands if command["type"] == 1]
    for n, command in enumerate(slash):
        if command.get("default_member_permissions") is not None:
            continue
        for words, options in leaves(command.get("options", []), command["name"]):
            await tried(ada, words, options, n)
    confirmed = await forget(ada)
    await confirmed.wait(lambda m: m.content.startswith("Done"), timeout=60)
    assert SECRET_WORD.casefold() not in shared.log.casefold()
