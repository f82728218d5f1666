"""Databases as earlier versions of the bot left them, in the SQL of their time."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from bot.store.migrating import MIGRATIONS, read_scripts
from bot.store.repair import BEFORE_ORIGINS
from tests.store.factories import REQUEST, recipe

LATEST = len(read_scripts(MIGRATIONS))

__all__ = ["BEFORE_ORIGINS", "LATEST", "write_database"]


def write_database(path: Path, version: int) -> None:
    """A database of that schema, at most BEFORE_ORIGINS, with a job of every kind and state.

    Their ids: `delivered` with an image, its waiting `reroll`, `failed`, and the running `cli`.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for script in read_scripts(MIGRATIONS)[:version]:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {version}")
        common = {
            "request": json.dumps(REQUEST.to_dict()),
            "locale": "de",
            "upload_limit": 99,
            "guild_id": 1,
            "channel_id": 20,
            "user_id": 7,
            "created_at": 1_000,
            "kind": "imagine",
            "origin": "discord",
        }
        delivered = {
            "state": "delivered",
            "attempt": 1,
            "started_at": 2_000,
            "finished_at": 3_000,
            "delivered_at": 4_000,
            "message_id": 30,
            "recipe": json.dumps(recipe().to_dict()),
            "warnings": '[{"code": "adapter.partial", "params": {}}]',
        }
        _insert(database, {**common, **delivered, "id": "delivered"})
        again = {"kind": "reroll", "parent_id": "delivered", "reply_to": 30, "created_at": 5_000}
        _insert(database, {**common, **again, "id": "reroll"})
        failure = '{"code": "job.timeout", "params": {}}'
        failed = {"state": "failed", "finished_at": 7_000, "error": failure, "created_at": 6_000}
        _insert(database, {**common, **failed, "id": "failed"})
        by_cli = {"origin": "cli", "user_id": 0, "guild_id": None, "channel_id": None}
        running = {"state": "running", "attempt": 1, "started_at": 8_000, "created_at": 8_000}
        _insert(database, {**common, **by_cli, **running, "id": "cli"})
        database.execute(
            "INSERT INTO images"
            " (job_id, n, seed, path, bytes, width, height, sha256, pixels_sha256)"
            " VALUES ('delivered', 0, 42, 'delivered/a.png', 10, 64, 48, 'aa', 'bb')"
        )
        if version >= 2:
            database.execute("UPDATE jobs SET interaction_id = 77 WHERE id = 'delivered'")
            database.execute("INSERT INTO tokens VALUES ('reroll', 'a-secret', 9000)")


def _insert(database: sqlite3.Connection, job: dict[str, object]) -> None:
    names, marks = ", ".join(job), ", ".join(f":{name}" for name in job)
    database.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", job)
