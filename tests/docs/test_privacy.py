"""PRIVACY.md names everything that is stored of people, and says what the code does."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.distributed.pace import Pace
from bot.privacy.export import OF_JOBS, ROWS
from bot.settings import Settings, names_of
from bot.store import COLUMNS, Span, Store
from bot.store.backup import COPIES_KEPT, KEPT
from bot.store.migrating import MIGRATIONS, read_scripts
from bot.store.personal.rows import TABLES
from tests.docs.pages import ROOT
from tests.store.every_table import INDEX, fill_every_table
from tests.store.test_personal import WHO, all_rows, execute, forget

POLICY = (ROOT / "PRIVACY.md").read_text(encoding="utf-8")

IMPERSONAL: dict[str, set[str]] = {
    "settings": {"key", "value"},
    "api_keys": {"rate", "daily", "nsfw", "admin", "priority", "worker"},
    "blocked_words": {"community", "text", "kind", "action", "added_at"},
    "disabled_entries": {"kind", "name", "at"},
    "greetings": {"guild_id", "greeted_at"},
    "history_terms": set(),
    "history_data": {"id", "block"},
    "history_idx": {"segid", "term", "pgno"},
    "history_config": {"k", "v"},
    "history_progress": {"only", "format", "below"},
}
"""Columns that say nothing about a person: what the bot keeps about itself, the limits of a key,
the words that a server blocks, what the owner has switched off, servers that the bot has joined,
and how the index of prompts is stored."""


STAYS = {
    "jobs": {"id", "parent_id"},
    "acts": {"id", "at", "community", "kind", "told_at"},
    "blocks": {"blocked", "within", "at"},
    **{table: set(COLUMNS[table]) for table in ("api_keys", "api_uploads", "forgotten_messages")},
    "forgotten_inputs": {"sha256"},
}
"""What is not deleted with a person: the ID of what others made something from; that something was
done, and that they are blocked; the keys
of callers over HTTP; and what is yet to be deleted elsewhere, which names nobody."""

NOT_EXPORTED = {
    *("tokens", "forgettings", "forgotten_inputs", "forgotten_messages"),
    *("api_jobs", "api_keys", "api_uploads"),
    *("history", "history_terms", "history_entries"),
}
"""Tables that say nothing about a person which the others do not: secrets; what the bot still has
to do; callers over HTTP, who are no one on Discord; and an index of what is in `jobs`."""


def schema() -> dict[str, set[str]]:
    """The columns of each table, as the migrations leave them."""
    with closing(sqlite3.connect(":memory:")) as database:
        for sql in read_scripts(MIGRATIONS):
            database.executescript(sql)
        named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [name for (name,) in database.execute(named)]
        return {
            table: {column[1] for column in database.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }


@pytest.mark.parametrize(("table", "columns"), schema().items())
def test_each_column_is_known_to_say_something_about_people_or_not(
    table: str, columns: set[str]
) -> None:
    """A new one has to take its place: in COLUMNS, or above. If it says something about people,
    /forget and /export have to know it as well."""
    personal = set(COLUMNS.get(table, {}))
    assert columns == personal | IMPERSONAL.get(table, set()), table
    assert not personal & IMPERSONAL.get(table, set())


@pytest.mark.parametrize("table", COLUMNS)
def test_the_policy_names_each_personal_column(table: str) -> None:
    [row] = re.findall(rf"^\| `{table}` \| (.*) \|$", POLICY, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == set(COLUMNS[table])


def test_every_column_has_a_meaning() -> None:
    assert all(meaning for columns in COLUMNS.values() for meaning in columns.values())


def test_the_policy_says_what_the_settings_are_by_default() -> None:
    defaults = {field.alias: field.default for field in Settings.model_fields.values()}
    assert f"{defaults['IMAGEN_KEEP_DAYS']} days, and {defaults['IMAGEN_KEEP_GB']} GiB" in POLICY
    assert defaults["IMAGEN_KEEP_HISTORY_DAYS"] == 0
    assert f"each copy is kept for {KEPT} days" in POLICY
    assert f"kept for {COPIES_KEPT.days} days" in POLICY
    named = set(re.findall(r"IMAGEN_[A-Z_]+", POLICY))
    assert named <= set(names_of())


def test_every_table_of_an_export_is_written_to_a_file() -> None:
    assert set(TABLES) == set(ROWS)


def test_every_table_with_personal_columns_is_exported_or_need_not_be() -> None:
    exported = {*TABLES, *OF_JOBS}
    assert exported | NOT_EXPORTED == set(COLUMNS)
    assert not exported & NOT_EXPORTED


def test_the_policy_says_what_leaves_the_machine_for_workers() -> None:
    rows = [row for row in POLICY.splitlines() if row.startswith("| [With workers")]
    broker, worker = rows
    assert "On the broker" in broker
    assert f"{Pace().kept / 60:g} minutes" in broker
    for what in ("prompts", "images to work from", "previews and results"):
        assert what in broker
    assert "On the workers" in worker


async def test_every_table_is_forgotten_and_those_of_an_export_find_their_person(
    tmp_path: Path,
) -> None:
    """In each there is a row with the person's ID, or its number, in every column that takes it.

    Others have made something from their job, which is therefore not deleted but reduced, keep it
    as a favourite, and report it.
    """
    database, person = tmp_path / "imagen.sqlite3", f"discord:{WHO}"
    assert set(fill_every_table(database, person, WHO)) >= set(COLUMNS) - INDEX
    span = Span(0, 2**62)
    async with Store.open(database) as store:
        execute(store, "DELETE FROM forgettings")
        execute(
            store,
            "INSERT INTO jobs (id, origin, kind, parent_id, request, person, created_at)"
            " VALUES ('made', 'cli', 'vary', 'job', '{}', 'cli', 1)",
        )
        execute(store, "INSERT INTO favourites VALUES ('cli', 'job', 1)")
        execute(
            store,
            "INSERT INTO reports (id, job_id, reporter, reason, made_at)"
            " VALUES ('by another', 'job', 'cli', '', 1)",
        )
        found = await store.personal.rest(person, span)
        assert {table for table, rows in found.items() if len(rows) == 1} == set(TABLES)
        [[job]] = [page async for page in store.personal.jobs(person, span)]
        assert job.asked is not None
        assert len(job.images) == 1
        await forget(store, span)
        left = all_rows(store)
    for table in set(COLUMNS) & set(left):
        for row in left[table]:
            named = {
                name
                for name, value in zip(in_order(database, table), row, strict=True)
                if name in COLUMNS[table] and (str(WHO) in str(value) or value == "job")
            }
            assert named <= STAYS.get(table, set()), table


def in_order(database: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def test_both_templates_have_places_for_the_owner() -> None:
    for name in ("PRIVACY.md", "TERMS.md"):
        text = Path(ROOT, name).read_text(encoding="utf-8")
        assert "[contact]" in text
        assert "[your name or organisation]" in text
