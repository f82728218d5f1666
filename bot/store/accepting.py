"""The insertion of a job that was asked for."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict

from bot.store.acts import NewAct
from bot.store.blocks import check_not_blocked
from bot.store.history.index import add
from bot.store.jobs import Job, NewJob
from bot.store.origins import SELECT_JOBS
from bot.store.usage import ASKED, DAY, AskedRow, Usage, usage_of


def accept(
    new: NewJob,
    request: str,
    asked_at: int,
    check: Callable[[Usage], None] | None,
    write: sqlite3.Connection,
    spent: Sequence[AskedRow] = (),
    acts: Sequence[NewAct] = (),
) -> Job:
    """Within a transaction: check and insert. request: as JSON. asked_at: in milliseconds. spent:
    what the person has asked for and had forgotten. acts: to be kept with it."""
    origin = new.origin
    origin.check_new(write)
    check_not_blocked(write, origin.person, origin.community)
    if check is not None:
        asked = write.execute(ASKED, (asked_at - DAY * 1000, origin.person))
        check(usage_of(asked, spent))
    write.execute(
        "INSERT INTO jobs (id, origin, kind, parent_id, request, person, community,"
        " priority, warnings, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.id,
            origin.name,
            new.kind,
            new.parent_id,
            request,
            origin.person,
            origin.community,
            new.priority,
            json.dumps([asdict(notice) for notice in new.warnings], ensure_ascii=False),
            asked_at,
        ),
    )
    origin.insert(write, new.id)
    for act in acts:
        act.insert(write)
    add(write, new.id, origin.person, new.kind, asked_at, new.request)
    return Job.from_row(write.execute(f"{SELECT_JOBS} WHERE id = ?", (new.id,)).fetchone())
