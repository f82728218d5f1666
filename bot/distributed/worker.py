"""Worker: the program that lends a machine's devices to a bot elsewhere, through the broker."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from redis import AuthenticationError, RedisError
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from bot import __version__
from bot.backoff import Backoff
from bot.distributed import announcement, keys
from bot.distributed.announcement import WIRE, Announcement, DeviceState
from bot.distributed.broker import VARIABLE, Broker
from bot.distributed.device import Complete, Device
from bot.distributed.pace import Pace
from bot.distributed.saq_parts import keep_quiet
from bot.errors import EngineLost, Loss, SettingsError, StopReason, WireError
from bot.worker.engine import ImageEngine

log = logging.getLogger(__name__)

FINISH_WITHIN: Final = 25.0
"""Seconds that a worker which was told to stop gives the jobs that it has. Docker and systemd wait
for longer, see deploy/compose.yaml."""
HAND_BACK_WITHIN: Final = 5.0
"""Seconds more, in which they stop at their next step and go back to the bot."""
PAUSES: Final = Backoff(1, 2, 5, 10, 30)
"""Seconds between two tries to reach the broker."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """One device and its engine.

    describe: the device as it is now; called in a thread, may wait for the driver. preload: loads
    what most jobs need, in the engine's thread.
    """

    engine: ImageEngine
    describe: Callable[[], DeviceState]
    preload: Callable[[], None]


class Worker:
    """One worker with all its devices, each with a queue of its own.

    name: unique among the bot's workers. complete: see Device. digests: of the files that are here,
    by which the bot tells what can be generated; called in a thread. downloads: from how many
    repositories of the hub some of these have to come first. fetches: whether `complete` fetches
    what is missing. libraries: versions by name. timeout: seconds that one job may run, see
    `bot.worker.attempt.seconds_for`. idle_for: see Device.
    """

    def __init__(
        self,
        *,
        name: str,
        broker: Broker,
        equipment: Sequence[Equipment],
        complete: Complete,
        digests: Callable[[], frozenset[str]],
        downloads: Callable[[], int],
        fetches: bool,
        libraries: dict[str, str],
        timeout: float,
        pace: Pace,
        idle_for: float | None = None,
    ) -> None:
        self._name = name
        self._broker = broker
        self._equipment = equipment
        self._complete = complete
        self._digests = digests
        self._downloads = downloads
        self._fetches = fetches
        self._libraries = libraries
        self._timeout = timeout
        self._pace = pace
        self._idle_for = idle_for
        self._session = secrets.token_hex(4)
        self._beat = 0
        self._leaving = False
        self._lost: EngineLost | None = None
        self._losing = asyncio.Event()
        self._sent_files: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what was begun or hand it back.

        Raises SettingsError if the broker refuses the login or another worker has this name, and
        EngineLost when only a new process can generate again.
        """
        keep_quiet()
        client = self._broker.client(self._pace)
        devices = [
            self._device(client, number, each) for number, each in enumerate(self._equipment)
        ]
        try:
            if not await self._unless(stop, self._claim_name(client)):
                return
            for device, equipment in zip(devices, self._equipment, strict=True):
                device.warm_up(equipment.preload)
            log.info("worker %s is at %s (devices: %d)", self._name, self._broker, len(devices))
            await self._work(client, devices, stop)
        finally:
            await asyncio.gather(*(device.close() for device in devices))
            await client.aclose()
        if self._lost is not None:
            raise self._lost

    def _device(self, client: Redis, number: int, equipment: Equipment) -> Device:
        return Device(
            client=client,
            queue=keys.queue(self._name, self._session, number),
            engine=equipment.engine,
            describe=equipment.describe,
            complete=self._complete,
            timeout=self._timeout,
            pace=self._pace,
            lost=self._lose,
            idle_for=self._idle_for,
        )

    def _lose(self, error: EngineLost) -> None:
        log.critical("%s; this process has to end", error)
        self._lost = self._lost or error
        self._losing.set()

    async def _unless(self, stop: asyncio.Event, work: Awaitable[None]) -> bool:
        """Await `work` unless `stop` is set meanwhile; returns whether it was done."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            return False
        task.result()
        return True

    async def _work(self, client: Redis, devices: Sequence[Device], stop: asyncio.Event) -> None:
        """Until `stop`, or until an engine is lost."""
        announcing = asyncio.create_task(self._announce(client, devices))
        running = [asyncio.create_task(self._run(device)) for device in devices]
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._losing)]
        try:
            done, _ = await asyncio.wait((announcing, *waits), return_when=asyncio.FIRST_COMPLETED)
            if announcing in done:
                announcing.result()
            await self._leave(client, devices)
        finally:
            for task in (announcing, *running, *waits):
                task.cancel()
            await asyncio.wait((announcing, *running, *waits), timeout=HAND_BACK_WITHIN)

    async def _run(self, device: Device) -> None:
        """SAQ's worker cannot be begun again."""
        try:
            await device.run()
        except Exception as error:
            log.exception("a device takes no jobs any more")
            self._lose(EngineLost(Loss.DIED, f"a device takes no jobs: {type(error).__name__}"))

    async def _leave(self, client: Redis, devices: Sequence[Device]) -> None:
        """Take no more jobs; finish those that were begun, or hand them back."""
        self._leaving = True
        for device in devices:
            device.leaving = True
        with contextlib.suppress(RedisError):
            await self._say(client, devices)
        if not await self._idle(devices, FINISH_WITHIN):
            log.info("handing back what is not finished")
            for device in devices:
                device.stop(StopReason.SHUTDOWN)
            if not await self._idle(devices, HAND_BACK_WITHIN):
                log.warning("a job is inside one long call; not waiting for it")
        with contextlib.suppress(RedisError):
            await self._say(client, devices)  # that nothing is left to wait for; it expires

    async def _idle(self, devices: Sequence[Device], seconds: float) -> bool:
        """Whether all are within `seconds`."""
        idle = [asyncio.ensure_future(device.idle.wait()) for device in devices]
        _, pending = await asyncio.wait(idle, timeout=seconds)
        for task in pending:
            task.cancel()
        return not pending

    async def _claim_name(self, client: Redis) -> None:
        """Wait until the broker can be reached and no other worker has this name.

        One that was killed is forgotten after `silence`. Raises SettingsError if the other lives.
        """
        before: int | None = None
        failures = 0
        while True:
            try:
                said = await client.getrange(keys.announced(self._name), 0, announcement.JSON_MAX)
            except (AuthenticationError, NoPermissionError) as error:
                raise SettingsError(f"{VARIABLE}: the broker refuses the login ({error})") from None
            except RedisError as error:
                pause = PAUSES.after(failures)
                failures += 1
                reason = type(error).__name__
                log.warning(
                    "the broker at %s cannot be reached (%s); next try in %g s",
                    self._broker,
                    reason,
                    pause,
                )
                await asyncio.sleep(pause)
                continue
            if not said:
                return
            try:
                other = announcement.decode(said)
            except WireError:
                other = None
            if isinstance(other, Announcement) and other.leaving:
                return
            beat = other.beat if isinstance(other, Announcement) else None
            if before is not None and beat is not None and beat != before:
                raise SettingsError(f"--name: another worker is called {self._name!r} already")
            if before is None:
                log.info("a worker called %s was here a moment ago; waiting", self._name)
            before = beat if beat is not None else -1
            await asyncio.sleep(self._pace.beat * 1.5)

    async def _announce(self, client: Redis, devices: Sequence[Device]) -> None:
        """Until cancelled. Raises SettingsError if its login has gone, or its name."""
        while True:
            try:
                await self._keep_name(client)
                await self._say(client, devices)
            except (AuthenticationError, NoPermissionError) as error:
                raise SettingsError(
                    f"{VARIABLE}: the broker refuses the login now ({error}): it was removed, or "
                    "the broker was restarted and does not keep its logins; "
                    f"`main.py workers allow {self._name}` at the bot makes a new one"
                ) from None
            except RedisError as error:
                log.warning("the broker cannot be reached: %s", type(error).__name__)
            await asyncio.sleep(self._pace.beat)

    async def _keep_name(self, client: Redis) -> None:
        """Raise SettingsError if another worker has taken the name: one that began at the same
        time, or while this one was cut off."""
        said = await client.getrange(keys.announced(self._name), 0, announcement.JSON_MAX)
        try:
            other = announcement.decode(said) if said else None
        except WireError:
            return  # what it says next takes its place
        if isinstance(other, Announcement) and other.session != self._session and not other.leaving:
            raise SettingsError(f"--name: another worker is called {self._name!r} now")

    async def _say(self, client: Redis, devices: Sequence[Device]) -> None:
        self._beat += 1
        describe = [asyncio.to_thread(device.state) for device in devices]
        states = tuple(await asyncio.gather(*describe))
        files = announcement.encode_files(await asyncio.to_thread(self._digests))
        digest = announcement.digest_of(files)
        said = Announcement(
            wire=WIRE,
            version=__version__,
            session=self._session,
            beat=self._beat,
            devices=states,
            libraries=self._libraries,
            files=digest,
            downloads=self._downloads(),
            fetches=self._fetches,
            leaving=self._leaving,
        )
        # A broker that was started again has them no more.
        key, kept = keys.files(self._name), int(self._pace.kept)
        if digest != self._sent_files or not await client.expire(key, kept):
            await client.set(key, files, ex=kept)
            self._sent_files = digest
        await client.set(
            keys.announced(self._name), announcement.encode(said), px=self._pace.silence_ms
        )
