"""Fetching: what a worker lacks comes from the bot, by digest, and is verified before it counts."""

import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from bot.distributed.bundles import Member, stamp_of
from bot.distributed.fetched import Fetched, SentFile
from bot.distributed.inventory import Inventory
from bot.distributed.localising import Lack, PartMissing, digests_of, lacks_of, localise
from bot.distributed.source import PIECE, Download, FetchFailed, Source
from bot.errors import JobFailed, NotHere
from bot.log import here
from bot.order import Order
from bot.progress import Progress, Stage

log = logging.getLogger(__name__)

SPARE: Final = 2 * 2**30
"""Bytes that stay free on the disk."""
LOOK: Final = 0.1
"""Seconds between two looks at whether the job was stopped, and between two reports."""
ROOM_LOOKS: Final = 120
ROOM_LOOK: Final = 1.0
"""Seconds between two looks at whether there is room by now that other jobs used."""

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


class Fetcher:
    """Fetches one part at a time, for one worker, in a thread of its own: whoever waits for it can
    give up at any time, whatever the network does."""

    def __init__(self, source: Source, fetched: Fetched, inventory: Inventory) -> None:
        self._source = source
        self._fetched = fetched
        self._inventory = inventory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fetching")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._source.close()

    @contextmanager
    def complete(self, order: Order, report: Report, check_stop: CheckStop) -> Iterator[Order]:
        """As `localise`, after fetching what is missing. Blocks until it is there. While the block
        lasts, none of what the order needs is deleted.

        What is on the hub comes from the bot as well if that has it, so that both have the same;
        else it is left to the engine to download it.

        Raises NotHere if a part cannot be had, what `check_stop` raises, and NotAnAddress.
        """
        needed = digests_of(order)
        with self._fetched.used(each for each in needed if not self._inventory.owns(each)):
            self._fetch_all(order, needed, report, check_stop)
            try:
                local = localise(order, self._inventory)
            except PartMissing as missing:
                raise NotHere(missing, missing.digest) from None
            yield local

    def _fetch_all(
        self, order: Order, needed: Collection[str], report: Report, check_stop: CheckStop
    ) -> None:
        """In two rounds, so that nothing is loaded for an order of which another part cannot be
        had."""
        plan = _Plan(needed)
        for step in (self._ask, self._fetch):
            for lack in lacks_of(order, self._inventory):
                if lack.on_hub and plan.away:
                    plan.leave(lack.digest)
                if lack.digest not in plan.left:
                    self._step(partial(step, plan), plan, lack, report, check_stop)

    def _step(
        self,
        step: Callable[[Lack, Download], None],
        plan: "_Plan",
        lack: Lack,
        report: Report,
        check_stop: CheckStop,
    ) -> None:
        """Raises as `complete`."""
        download = Download(lack.key)
        try:
            fetching = self._thread.submit(here(partial(step, lack, download)))
            self._wait(fetching, download, report, check_stop)
        except FetchFailed as failed:
            if not lack.on_hub:
                raise NotHere(failed, lack.digest) from failed
            log.info("%s %s is left to the hub (%s)", lack.kind, lack.key, failed.code)
            plan.leave(lack.digest)
            plan.away = plan.away or failed.code == "part.unreachable"
        except OSError as error:
            reason = error.strerror or type(error).__name__
            failure = JobFailed("part.unwritable", name=lack.key, reason=reason)
            raise NotHere(failure, lack.digest) from error

    def _wait(
        self, fetching: Future[None], download: Download, report: Report, check_stop: CheckStop
    ) -> None:
        try:
            while not fetching.done():
                check_stop()
                fraction = download.fraction
                report(Progress(Stage.DOWNLOADING, subject=download.key, fraction=fraction))
                wait([fetching], LOOK)
        except BaseException:
            download.give_up()
            fetching.cancel()
            raise
        fetching.result()

    # In the thread

    def _ask(self, plan: "_Plan", lack: Lack, download: Download) -> None:
        """Note the files of a part, if there can be room for all that was noted."""
        files = self._source.files_of(lack.kind, lack.digest, download)
        plan.files[lack.digest] = files
        plan.keys[lack.digest] = lack.key
        fetched, name = self._fetched, " + ".join(dict.fromkeys(plan.keys.values()))
        fetched.folder.mkdir(parents=True, exist_ok=True)
        more = self._more([each for files in plan.files.values() for each in files])
        size = fetched.size_of(plan.needed) + sum(each.size for each in more)
        if size > fetched.limit:
            limit = _gib(fetched.limit)
            raise FetchFailed("part.too_large", name=name, size=_gib(size), limit=limit)
        self._check_disk(more, name)

    def _fetch(self, plan: "_Plan", lack: Lack, download: Download) -> None:
        with self._fetched.alone(download.check):
            held = self._inventory.holding(lack.digest)
            if held is not None and held.here:
                return  # another order has fetched it meanwhile, or another worker
            files = plan.files.get(lack.digest)
            files = files or self._source.files_of(lack.kind, lack.digest, download)
            total = sum(sent.size for sent in files)
            what = (lack.kind, download.key, len(files), total)
            log.info("fetching %s %s: %d files, %d bytes", *what)
            self._make_room(files, plan, download)
            done, placed = 0, []
            for sent in files:
                path = self._linked(sent, download)
                path = path or self._load(sent, done, max(total, 1), download)
                placed.append((sent, path))
                done += sent.size
            bundle = self._fetched.keep(lack.digest, lack.kind, placed)
            self._inventory.verified(bundle, [sent.sha256 for sent in files])

    def _more(self, files: Iterable[SentFile]) -> list[SentFile]:
        """Those that are not in the folder yet; of several with the same bytes, one."""
        different = {sent.sha256: sent for sent in files}
        return [sent for sent in different.values() if self._fetched.file(sent.sha256) is None]

    def _make_room(self, files: Sequence[SentFile], plan: "_Plan", download: Download) -> None:
        """Raises FetchFailed if there is not enough."""
        fetched, key = self._fetched, download.key
        for _ in range(ROOM_LOOKS):
            more = self._more(files)
            size = sum(sent.size for sent in more)
            # What is deleted may have had some of the files.
            if fetched.make_room(size) and more == self._more(files):
                break
            if fetched.size_of(plan.needed) + size > fetched.limit:
                limit = _gib(fetched.limit)
                raise FetchFailed("part.too_large", name=key, size=_gib(size), limit=limit)
            download.pause(ROOM_LOOK)
        else:
            raise FetchFailed("part.no_room", name=key, size=_gib(size))
        self._check_disk(more, key)

    def _check_disk(self, files: Sequence[SentFile], name: str) -> None:
        """Raises FetchFailed unless they fit on it."""
        lacking = [sent for sent in files if self._inventory.file(sent.sha256) is None]
        there = [self._fetched.partial(sent.sha256) for sent in lacking]
        have = sum(path.stat().st_size for path in there if path.is_file())
        size = sum(sent.size for sent in lacking)
        free = shutil.disk_usage(self._fetched.folder).free - SPARE
        if size - have > free:
            raise FetchFailed("part.disk_full", name=name, size=_gib(size), free=_gib(free))

    def _linked(self, sent: SentFile, download: Download) -> Path | None:
        """The same file, if this machine has it already as part of something else."""
        own = self._inventory.file(sent.sha256) or self._fetched.file(sent.sha256)
        if own is None:
            return None
        # Under no name that a later attempt would go on writing to.
        path = self._fetched.partial(sent.sha256).with_suffix(".linked")
        try:
            source = own.path.resolve(strict=True)
            if stamp_of(source.stat()) != own.stamp:
                return None
            path.unlink(missing_ok=True)
            path.hardlink_to(source)
        except OSError as error:
            log.debug("%s cannot be linked: %s", own.path, error.strerror)
            self._copy(own, self._fetched.partial(sent.sha256), download)
            return None
        return path

    def _copy(self, own: Member, path: Path, download: Download) -> None:
        """As far as it can be read; what is lacking, or wrong, is then fetched."""
        try:
            with own.path.open("rb") as source, path.open("wb") as target:
                while piece := source.read(PIECE):
                    target.write(piece)
                    download.check()
        except OSError as error:
            log.debug("%s cannot be copied: %s", own.path, error.strerror)

    def _load(self, sent: SentFile, before: int, total: int, download: Download) -> Path:
        """The file, from the bot. before: bytes of the part that are here already."""
        path = self._fetched.partial(sent.sha256)

        def told(have: int) -> None:
            download.fraction = min((before + have) / total, 1.0)

        self._source.load(sent, path, download, told)
        return path


@dataclass
class _Plan:
    """What an order lacks. needed: all that it needs. files: of each part that the bot has, by its
    digest. keys: of their entries, likewise. left: to the hub. away: whether the bot cannot be
    reached."""

    needed: Collection[str]
    files: dict[str, tuple[SentFile, ...]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    away: bool = False

    def leave(self, digest: str) -> None:
        """Leave a part to the hub."""
        self.left.add(digest)
        self.files.pop(digest, None)
        self.keys.pop(digest, None)


def _gib(size: int) -> float:
    return round(size / 2**30, 1)
