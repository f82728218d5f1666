"""What the owner is told by /admin."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from bot.chat.ui.lanes import LaneView
from bot.chat.ui.markdown import CONTENT_MAX, code, codes, cut_off, one_line
from bot.queue import LaneState
from bot.texts.language import Say
from catalog import Catalog, CatalogChanges, EntryKind, entries_of

PROBLEMS_SHOWN: Final = 10
SERVERS_SHOWN: Final = 25
NAME_SHOWN: Final = 30
FAILURES_SHOWN: Final = 5
LANES_SHOWN: Final = 15
GIB: Final = 2**30
NAMES_ROOM: Final = 500
"""Characters for the names in one line."""
SHARDS_ROOM: Final = 250
"""Characters for the numbers of shards in one line."""


def may_be_named(catalog: Catalog, kind: EntryKind, key: str, *, nsfw: bool) -> bool:
    """Whether the entry's name may stand where it is not age-restricted, unless `nsfw`."""
    entry = entries_of(catalog, kind).get(key)
    return entry is not None and (nsfw or not entry.nsfw)


def entry_name(say: Say, catalog: Catalog, kind: EntryKind, key: str, *, nsfw: bool) -> str:
    """What an entry is called; without its name where that may not stand."""
    what = say(f"admin.kind.{kind}")
    if not may_be_named(catalog, kind, key, nsfw=nsfw):
        return say("admin.unnamed", what=what)
    return f"{what} {code(key)}"


def reloaded(
    say: Say, found: CatalogChanges, before: Catalog, after: Catalog, *, nsfw: bool
) -> str:
    """What has changed in the catalog, and the problems of all that is in it."""
    lines = [
        *_changed(say, "added", found.added, after, nsfw=nsfw),
        *_changed(say, "removed", found.removed, before, nsfw=nsfw),
        *_changed(say, "changed", found.changed, after, nsfw=nsfw),
    ]
    if not lines:
        lines = [say("admin.reload.same")]
    if after.problems:
        lines.append(say("admin.reload.problems", count=len(after.problems)))
        lines += [f"- {code(str(problem))}" for problem in after.problems[:PROBLEMS_SHOWN]]
    return cut_off("\n".join(lines), CONTENT_MAX)


def _changed(
    say: Say,
    how: str,
    entries: Sequence[tuple[EntryKind, str]],
    catalog: Catalog,
    *,
    nsfw: bool,
) -> list[str]:
    if not entries:
        return []
    named = [key for kind, key in entries if may_be_named(catalog, kind, key, nsfw=nsfw)]
    names = codes(named, NAMES_ROOM) if named else say("admin.reload.unnamed")
    return [say(f"admin.reload.{how}", count=len(entries), names=names)]


def switched_off(
    say: Say, off: Collection[tuple[EntryKind, str]], catalog: Catalog, *, nsfw: bool
) -> str:
    """The entries that are switched off."""
    if not off:
        return say("admin.entry.none")
    lines = [f"- {entry_name(say, catalog, kind, key, nsfw=nsfw)}" for kind, key in sorted(off)]
    return cut_off("\n".join([say("admin.entry.off"), *lines]), CONTENT_MAX)


def servers_text(say: Say, servers: Sequence[tuple[int, str, int, bool, bool]]) -> str:
    """servers: ID, name, members, whether it is blocked, and whether its audit channel refuses what
    it is told; the largest first."""
    lines = [say("admin.server.list", count=len(servers))]
    for guild_id, name, members, blocked, refusing in servers[:SERVERS_SHOWN]:
        marks = ["🚫"] * blocked + [say("admin.server.refusing")] * refusing
        about = [code(str(guild_id)), say("admin.server.members", count=members), *marks]
        lines.append(" · ".join([f"- {one_line(name, NAME_SHOWN)}", *about]))
    if len(servers) > SERVERS_SHOWN:
        lines.append("…")
    return cut_off("\n".join(lines), CONTENT_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """lanes: all of them. waiting, sending: jobs.

    failures: of the last day, by code. reports: open ones. untold: acts. refusing: servers whose
    audit channel refuses what it is told; None stands for the owners. shards: seconds of the latest
    heartbeat's round trip, by number; None for one that is not connected. images, free: bytes.
    """

    lanes: Sequence[LaneView]
    waiting: int
    sending: int
    paused: bool
    resumes_at: int | None
    draining: bool
    failures: Mapping[str, int]
    reports: int
    untold: int
    refusing: Sequence[str | None]
    servers: int
    images: int
    free: int
    shards: Mapping[int, float | None] = field(default_factory=dict)


def status_text(say: Say, status: Status) -> str:
    """How the bot is doing. It names no model: one may be only for age-restricted channels."""
    lines = []
    if status.draining:
        lines.append(say("admin.status.draining"))
    if status.paused:
        lines.append(say("line.paused"))
    elif status.resumes_at is not None:
        lines.append(say("line.quiet", when=status.resumes_at))
    lines += [_lane_line(say, lane) for lane in status.lanes[:LANES_SHOWN]]
    if len(status.lanes) > LANES_SHOWN:
        lines.append(say("line.more", count=len(status.lanes) - LANES_SHOWN))
    lines.append(say("admin.status.waiting", count=status.waiting))
    lines.append(say("admin.status.sending", count=status.sending))
    lines.append(say("admin.status.failed", count=sum(status.failures.values())))
    lines += [f"- {code(why)}: {n}" for why, n in [*status.failures.items()][:FAILURES_SHOWN]]
    lines.append(say("admin.status.reports", count=status.reports))
    lines.append(say("admin.status.untold", count=status.untold))
    if None in status.refusing:
        lines.append(say("admin.status.owners_refuse"))
    if others := [each for each in status.refusing if each is not None]:
        ids = codes((each.removeprefix("discord:") for each in others), NAMES_ROOM)
        lines.append(say("admin.status.refusing", ids=ids))
    lines.append(say("admin.status.servers", count=status.servers))
    if len(status.shards) > 1:
        lines += _shard_lines(say, status.shards)
    gib = {"images": status.images / GIB, "free": status.free / GIB}
    lines.append(say("admin.status.disk", **gib))
    return cut_off("\n".join(lines), CONTENT_MAX)


def _shard_lines(say: Say, shards: Mapping[int, float | None]) -> list[str]:
    down = [str(number) for number, seconds in shards.items() if seconds is None]
    up = len(shards) - len(down)
    line = say("admin.status.shards", up=up, count=len(shards))
    if down:
        line += " · " + say("admin.status.shards_down", shards=codes(down, SHARDS_ROOM))
    # Before its first heartbeat is answered, a shard has none.
    latencies = {
        number: round(seconds * 1000)
        for number, seconds in shards.items()
        if seconds is not None and isfinite(seconds)
    }
    if not latencies:
        return [line]
    told = codes((f"{number} · {ms} ms" for number, ms in latencies.items()), SHARDS_ROOM)
    return [line, say("admin.status.latency", shards=told)]


def _lane_line(say: Say, lane: LaneView) -> str:
    if lane.state is LaneState.LOST:
        return say("admin.status.lost", lane=lane.label)
    if lane.job is not None:
        line = say("admin.status.busy", lane=lane.label, job=lane.job)
    else:
        line = say("admin.status.loaded" if lane.model else "admin.status.idle", lane=lane.label)
    if lane.state is not LaneState.READY:
        line += " · " + say(f"line.lane.{lane.state.value}")
    return line
