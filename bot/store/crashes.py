"""Crashes: what becomes of the jobs during which a process died, be it the bot's or that of one
engine, and which of them caused it.

Within a transaction each. A job with a crash is a suspect: it goes to the back of the line.
"""

import json
import sqlite3
from typing import Final

from bot.errors import Loss
from bot.store.jobs import BLAMELESS_MAX, Job, now_ms
from bot.store.settings import put_setting

DEVICE_LOST: Final = "device lost"
"""The key of the setting that keeps when a job last lost its device, in ms; followed by the name of
the lane, if the job has one."""
_TO_THE_BACK: Final = "state = 'pending', passed = 0, due_at = NULL"
_SINCE_BOOT: Final = "coalesce(boot = ?, 1)"
"""Whether a job began in the given boot of the machine; if unknown, it counts as if it did."""
WITNESS: Final = f"{_TO_THE_BACK}, lost_to = 'died', crashes = crashes + {_SINCE_BOOT}"
"""The change of a job during which a process died, given the machine's current boot."""
_RUNNING: Final = (
    # The index's own condition is repeated, or SQLite would not use it.
    "state IN ('pending', 'running', 'done') AND state = 'running'"
    " AND origin IN (SELECT value FROM json_each(?))"
)
_PAINTING: Final = (
    f"{_RUNNING} AND painted_at IS NULL AND NOT (isolated AND deaths < {BLAMELESS_MAX})"
)
"""Without those that were only being saved while another job was generated, or that were generated
in another process."""


def lost(write: sqlite3.Connection, job: Job, loss: Loss, *, sure: bool = True) -> bool:
    """The attempt made its engine unusable; returns whether it was still running.

    sure: whether it surely did. The crash is then the job's own, unless the device failed and
    nothing has been generated on its lane since it failed before: then the device itself may be
    broken.
    """
    own = sure and (loss is not Loss.DEVICE or _works(write, job.lane))
    cursor = write.execute(
        f"UPDATE jobs SET {_TO_THE_BACK}, lost_to = ?, crashes = crashes + 1,"  # noqa: S608
        " own_crashes = own_crashes + ? WHERE state = 'running' AND attempt = ? AND id = ?",
        (loss.value, own, job.attempt, job.id),
    )
    if loss is Loss.DEVICE and cursor.rowcount:
        put_setting(write, _device_lost(job.lane), str(now_ms()))
    return cursor.rowcount > 0


def put_back(write: sqlite3.Connection, origins: tuple[str, ...]) -> None:
    """A process was stopped while it ran these jobs."""
    sql = f"UPDATE jobs SET state = 'pending' WHERE {_RUNNING}"  # noqa: S608
    write.execute(sql, (json.dumps(origins),))


def suspect(
    write: sqlite3.Connection, origins: tuple[str, ...], boot: str | None, *, own: bool
) -> None:
    """A process died while it ran these jobs.

    boot: the machine's current one; jobs from before it are not to blame. own: a job caused it.
    Those that were only being saved while another was generated, or were generated in another
    process, are put back without blame.
    """
    those = json.dumps(origins)
    alone = f"(SELECT count(*) FROM jobs WHERE {_PAINTING}) = 1"  # noqa: S608
    write.execute(
        f"UPDATE jobs SET {WITNESS},"  # noqa: S608
        f" own_crashes = own_crashes + ({_SINCE_BOOT} AND ? AND {alone}) WHERE {_PAINTING}",
        (boot, boot, own, those, those),
    )
    write.execute(  # the rest
        "UPDATE jobs SET state = 'pending',"  # noqa: S608
        f" deaths = deaths + (isolated AND painted_at IS NULL) WHERE {_RUNNING}",
        (those,),
    )


def _device_lost(lane: str | None) -> str:
    return f"{DEVICE_LOST} {lane}" if lane else DEVICE_LOST


def _works(write: sqlite3.Connection, lane: str | None) -> bool:
    """Whether the lane's device has generated anything since it last failed, or never failed."""
    sql = "SELECT CAST(value AS INTEGER) AS at FROM settings WHERE key = ?"
    row = write.execute(sql, (_device_lost(lane),)).fetchone()
    if row is None:
        return True
    sql = (
        "SELECT 1 FROM jobs WHERE state IN ('done', 'delivered') AND started_at >= ?"
        " AND lane IS ? LIMIT 1"
    )
    return write.execute(sql, (row["at"], lane)).fetchone() is not None
