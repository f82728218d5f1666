"""Roster: the bot's list of its workers. Their devices come and go as lanes of the queue."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from redis import RedisError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bot import __version__
from bot.distributed import announcement, keys
from bot.distributed.access import is_wrong_type
from bot.distributed.announcement import Announcement, OtherVersion
from bot.distributed.broker import Broker
from bot.distributed.inventory import Inventory
from bot.distributed.lacks import Lacks
from bot.distributed.pace import Pace
from bot.distributed.remote import Conduct, RemoteEngine
from bot.distributed.saq_parts import keep_quiet
from bot.errors import WireError
from bot.queue import Lane
from bot.queue.policy import Waiting
from bot.texts.language import Texts
from bot.worker.engine import ImageEngine

log = logging.getLogger(__name__)

WORKERS_MAX: Final = 1_000
SCANNED_MAX: Final = 20_000
"""Keys that are looked through for new workers in one round; the next one goes on from there."""
LEAVE_WITHIN: Final = 1.0
"""Seconds that lanes which are being removed have when the bot stops."""
SCAN: Final = 1_000
"""Keys at once."""


class Lanes(Protocol):
    """What has lanes added and removed while jobs run."""

    def add(self, lane: Lane, engine: ImageEngine) -> None: ...

    def drain(self, lane: Lane, *, drained: bool) -> None: ...

    def load(self, lane: Lane, *, loading: bool) -> None: ...

    async def remove(self, lane: Lane) -> None: ...

    def look_again(self) -> None:
        """The lanes may be able to run other jobs than before."""


Fits = Callable[[frozenset[str], frozenset[str], bool, Waiting], bool]
"""Whether a worker can generate a job: with these files, with those that it cannot get, and if it
fetches what else it lacks."""


@dataclass
class _Post:
    """A lane and the engine of a worker's device."""

    lane: Lane
    engine: RemoteEngine


@dataclass
class _Known:
    """A worker. heard_at: when it said something new. listed: `Announcement.files` of `files`."""

    session: str
    beat: int
    heard_at: float
    posts: list[_Post] = field(default_factory=list)
    files: frozenset[str] = frozenset()
    listed: str = ""
    lacks: Lacks = field(default_factory=Lacks)
    fetches: bool = False


class Roster:
    """Looks for workers in the broker as long as it runs.

    fitting: asked before a worker is given a job; None: each can generate all. inventory: of the
    bot's files, with whose digests orders are sent; None: with their paths. previews: seconds
    between two previews; None for none.
    """

    def __init__(
        self,
        broker: Broker,
        lanes: Lanes,
        texts: Texts,
        pace: Pace,
        *,
        fitting: Fits | None = None,
        inventory: Inventory | None = None,
        previews: float | None = None,
    ) -> None:
        self._broker = broker
        self._lanes = lanes
        self._texts = texts
        self._pace = pace
        self._fitting = fitting
        self._inventory = inventory
        self._previews = previews
        self._session = secrets.token_hex(4)
        self._beat = 0
        self._known: dict[str, _Known] = {}
        self._refused: dict[str, str] = {}
        self._gone: dict[str, tuple[str, int]] = {}
        """Session and beat of those that were forgotten, WORKERS_MAX at most."""
        self._conduct: dict[str, Conduct] = {}
        self._cursor = 0
        self._rival: tuple[bytes, float] | None = None
        self._reached_at = time.monotonic()
        self._removing: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        keep_quiet()
        client, unreachable = self._broker.client(self._pace), False
        try:
            while True:
                try:
                    await self._round(client)
                    if unreachable:
                        log.info("the broker at %s can be reached again", self._broker)
                    unreachable = False
                except RedisError as error:
                    if not unreachable:
                        reason = f"{type(error).__name__}: {error}"
                        log.error("the broker at %s cannot be used: %s", self._broker, reason)
                    unreachable = True
                    self._forget_if_cut_off()
                except Exception:
                    log.exception("the workers cannot be looked for")
                await asyncio.sleep(self._pace.beat)
        finally:
            if self._removing:  # else what they have is taken up at the next start
                await asyncio.wait(self._removing, timeout=LEAVE_WITHIN)
            await client.aclose()

    async def _round(self, client: Redis) -> None:
        if not await self._is_only_bot(client):
            return
        begin = time.monotonic()
        for name in {**self._known, **dict.fromkeys(await self._find(client))}:
            try:
                data = await client.getrange(keys.announced(name), 0, announcement.JSON_MAX)
                if data:
                    await self._hear(client, name, data)
            except ResponseError as error:
                if not is_wrong_type(error):
                    raise
                self._refuse(name, "what it has announced is not of the type that it should have")
        self._reached_at = begin
        for name, known in list(self._known.items()):
            if begin - known.heard_at > self._pace.silence:
                self._forget(name, f"nothing was heard of it for {self._pace.silence:g} s")
        if self._known:
            # Files are listed, hashed and fetched at any time, and that alone wakes nobody.
            self._lanes.look_again()

    async def _find(self, client: Redis) -> list[str]:
        """The names of some workers, and after some rounds of all, however many keys there are. So
        no worker can hide the others behind keys of its own: those that are known need no search.
        """
        names, most = [], WORKERS_MAX - len(self._known)
        for _ in range(SCANNED_MAX // SCAN):
            self._cursor, found = await client.scan(
                self._cursor, match=f"{keys.WORKERS}*", count=SCAN
            )
            names += _names(found)
            if self._cursor == 0:
                break
        new = [name for name in names if name not in self._known]
        if len(new) > most:
            log.warning("there are more than %d workers; the others get no jobs", WORKERS_MAX)
        return new[: max(0, most)]

    async def _is_only_bot(self, client: Redis) -> bool:
        """Whether no other bot uses this broker: both would give their jobs to the same workers."""
        now = time.monotonic()
        mine = self._session.encode()
        other = await client.getrange(keys.BOT, 0, 100)
        if other and not other.startswith(mine):
            if self._rival is None or self._rival[0] != other:
                if self._rival is not None:
                    log.error("another bot uses the broker at %s; each needs one", self._broker)
                    for name in list(self._known):
                        self._forget(name, "another bot uses it")
                self._rival = (other, now)
                return False
            # A bot that was killed leaves this behind until it expires.
            if now - self._rival[1] < 2 * self._pace.beat:
                return False
        self._rival = None
        self._beat += 1
        value = mine + b":" + str(self._beat).encode()
        await client.set(keys.BOT, value, px=self._pace.silence_ms)
        if self._beat == 1:
            await self._tidy(client)
        return True

    async def _hear(self, client: Redis, name: str, data: bytes) -> None:
        try:
            said = announcement.decode(data)
        except WireError as error:
            self._refuse(name, str(error))
            return
        if isinstance(said, OtherVersion):
            why = f"it is of version {said.version or '?'} (wire {said.wire}); update the older one"
            self._refuse(name, why)
            return
        if said.version != __version__:
            self._refuse(name, f"it is of version {said.version or '?'}, and the bot {__version__}")
            return
        known = self._known.get(name)
        if said.leaving and not any(state.busy for state in said.devices):
            self._forget(name, "it has left")
            return
        if known is not None and known.session != said.session:
            self._forget(name, "it was started again")
            known = None
        if known is None:
            if name in self._removing.values():
                return  # its lanes are still there from before; they have the same names
            if self._gone.get(name) == (said.session, said.beat):
                return  # it has not said anything since
            known = await self._welcome(client, name, said)
        fresh = known.beat != said.beat
        if fresh:
            known.beat, known.heard_at = said.beat, time.monotonic()
        await self._list_files(client, name, known, said)
        known.fetches = said.fetches
        if self._conduct[name].unbearable:
            log.error(
                "worker %s is drained: time and again it gave back its jobs or sent what is "
                "refused; once it is mended: main.py workers resume %s",
                name,
                name,
            )
            await client.set(keys.drained(name), "1")
            self._conduct[name].did_well()
        drained = said.leaving or bool(await client.exists(keys.drained(name)))
        for post, state in zip(known.posts, said.devices, strict=False):
            if fresh:  # else it may be all that is left of it
                post.engine.heard(state)
            post.lane.memory, post.lane.environment = state.memory, state.told
            if post.lane.loading != state.loading:
                self._lanes.load(post.lane, loading=state.loading)
            if post.lane.draining != drained:
                self._lanes.drain(post.lane, drained=drained)

    async def _welcome(self, client: Redis, name: str, said: Announcement) -> _Known:
        self._refused.pop(name, None)
        known = _Known(said.session, -1, time.monotonic())
        for number, state in enumerate(said.devices):
            queue = keys.queue(name, said.session, number)
            # Whatever an earlier bot process has left there is not waited for any more.
            await client.set(keys.lease(queue), keys.NOBODY, px=self._pace.silence_ms)
            engine = RemoteEngine(
                self._broker,
                queue,
                state,
                self._texts,
                self._pace,
                preview_interval=self._previews,
                inventory=self._inventory,
                conduct=self._conduct.setdefault(name, Conduct()),
                lacks=known.lacks,
            )
            lane = Lane(
                name=f"{name}.{number}",
                device=state.device,
                loaded=lambda engine=engine: engine.loaded,  # type: ignore[misc]
                memory=state.memory,
                isolated=True,
                able=self._able(known),
                environment=state.told,
            )
            lane.loading = state.loading
            known.posts.append(_Post(lane, engine))
            self._lanes.add(lane, engine)
        self._known[name] = known
        log.info("worker %s is here: %s", name, ", ".join(s.device for s in said.devices))
        return known

    def _able(self, known: _Known) -> Callable[[Waiting], bool] | None:
        fitting = self._fitting
        if fitting is None:
            return None
        return lambda job: fitting(known.files, known.lacks.now, known.fetches, job)

    async def _list_files(
        self, client: Redis, name: str, known: _Known, said: Announcement
    ) -> None:
        if said.files == known.listed:
            return
        most = announcement.FILES_MAX * announcement.DIGEST
        data = await client.getrange(keys.files(name), 0, most)
        try:
            files = await asyncio.to_thread(announcement.decode_files, data, said.files)
        except WireError as error:
            if data:  # else they come with one of the next announcements
                log.warning("worker %s: %s", name, error)
            return
        known.files, known.listed = files, said.files

    def _refuse(self, name: str, why: str) -> None:
        self._forget(name, why)
        if self._refused.get(name) != why:
            log.error("worker %s gets no jobs: %s", name, why)
        self._refused[name] = why

    def _forget_if_cut_off(self) -> None:
        if time.monotonic() - self._reached_at > self._pace.silence:
            for name in list(self._known):
                self._forget(name, "the broker cannot be reached")

    def _forget(self, name: str, why: str) -> None:
        known = self._known.pop(name, None)
        if known is None:
            return
        log.warning("worker %s is gone: %s", name, why)
        self._gone.pop(name, None)
        self._gone[name] = known.session, known.beat
        if len(self._gone) > WORKERS_MAX:
            del self._gone[next(iter(self._gone))]
        for post in known.posts:
            post.engine.lose(why)
            # It takes as long as its job takes to go back to the queue.
            removing = asyncio.create_task(self._lanes.remove(post.lane))
            self._removing[removing] = name
            removing.add_done_callback(self._removed)

    def _removed(self, task: asyncio.Task[None]) -> None:
        self._removing.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a lane could not be removed", exc_info=error)

    async def _tidy(self, client: Redis) -> None:
        """Delete what SAQ keeps for queues that nobody serves any more."""
        cursor, looked = 0, 0
        while looked < SCANNED_MAX and (cursor or not looked):
            cursor, found = await client.scan(cursor, match="saq:*", count=SCAN)
            looked += SCAN
            for key in found:
                rest = key.decode("utf-8", "replace").removeprefix("saq:")
                queue = rest.removeprefix("job:").removeprefix("abort:").partition(":")[0]
                name = keys.worker_of(queue)
                if name is not None and not await client.exists(keys.announced(name)):
                    await client.unlink(key)


def _names(found: Iterable[bytes]) -> list[str]:
    """Of the workers whose announcements these keys are."""
    names = (key.decode("utf-8", "replace").removeprefix(keys.WORKERS) for key in found)
    return [name for name in names if keys.is_name(name)]


async def names_of(client: Redis) -> list[str]:
    """Of the workers that the broker knows of, WORKERS_MAX at most; looks through all of its keys,
    however many. Raises RedisError."""
    names: dict[str, None] = {}
    cursor, begun = 0, False
    while len(names) < WORKERS_MAX and (cursor or not begun):
        cursor, found = await client.scan(cursor, match=f"{keys.WORKERS}*", count=SCAN)
        names, begun = names | dict.fromkeys(_names(found)), True
    return [*names]
