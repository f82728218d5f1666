"""Fetching: what a worker lacks comes from the bot, by digest, and is verified before it counts."""

import logging
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from bot.distributed.fetched import Fetched, SentFile
from bot.distributed.inventory import Inventory
from bot.distributed.localising import PartMissing, digests_of, localise
from bot.distributed.parts import Kind, stamp_of
from bot.distributed.source import Download, FetchFailed, Source
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

        Raises NotHere if a part cannot be had, what `check_stop` raises, and NotAnAddress.
        """
        needed = digests_of(order)
        with self._fetched.used(each for each in needed if not self._inventory.owns(each)):
            yield self._local(order, needed, report, check_stop)

    def _local(
        self, order: Order, needed: Collection[str], report: Report, check_stop: CheckStop
    ) -> Order:
        tried: set[str] = set()
        while True:
            try:
                return localise(order, self._inventory)
            except PartMissing as missing:
                if missing.digest in tried:
                    raise NotHere(missing, missing.digest) from None
                tried.add(missing.digest)
                download = Download(missing.key)
                fetch = partial(self._fetch, missing.kind, missing.digest, download, needed)
                try:
                    self._wait(self._thread.submit(here(fetch)), download, report, check_stop)
                except FetchFailed as failed:
                    raise NotHere(failed, missing.digest) from failed
                except OSError as error:
                    reason = error.strerror or type(error).__name__
                    failure = JobFailed("part.unwritable", name=missing.key, reason=reason)
                    raise NotHere(failure, missing.digest) from error

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

    def _fetch(self, kind: Kind, digest: str, download: Download, needed: Collection[str]) -> None:
        with self._fetched.alone(download.check):
            if self._inventory.holding(digest) is not None:
                return  # another order has fetched it meanwhile, or another worker
            files = self._source.files_of(kind, digest, download)
            total = sum(sent.size for sent in files)
            log.info("fetching %s %s: %d files, %d bytes", kind, download.key, len(files), total)
            self._make_room(files, total, download, needed)
            done, placed = 0, []
            for sent in files:
                path = self._linked(sent) or self._load(sent, done, max(total, 1), download)
                placed.append((sent, path))
                done += sent.size
            bundle = self._fetched.keep(digest, kind, placed)
            self._inventory.verified(bundle, [sent.sha256 for sent in files])

    def _make_room(
        self, files: Sequence[SentFile], total: int, download: Download, needed: Collection[str]
    ) -> None:
        """Raises FetchFailed if there is not enough."""
        fetched, key = self._fetched, download.key
        for _ in range(ROOM_LOOKS):
            if fetched.make_room(total):
                break
            if fetched.size_of(needed) + total > fetched.limit:
                limit = _gib(fetched.limit)
                raise FetchFailed("part.too_large", name=key, size=_gib(total), limit=limit)
            download.pause(ROOM_LOOK)
        else:
            raise FetchFailed("part.no_room", name=key, size=_gib(total))
        there = [fetched.partial(sent.sha256) for sent in files]
        have = sum(path.stat().st_size for path in there if path.is_file())
        free = shutil.disk_usage(fetched.folder).free - SPARE
        if total - have > free:
            raise FetchFailed("part.disk_full", name=key, size=_gib(total), free=_gib(free))

    def _linked(self, sent: SentFile) -> Path | None:
        """The same file, if this machine has it already as part of something else."""
        own = self._inventory.file(sent.sha256)
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
            return None
        return path

    def _load(self, sent: SentFile, before: int, total: int, download: Download) -> Path:
        """The file, from the bot. before: bytes of the part that are here already."""
        path = self._fetched.partial(sent.sha256)

        def told(have: int) -> None:
            download.fraction = min((before + have) / total, 1.0)

        self._source.load(sent, path, download, told)
        return path


def _gib(size: int) -> float:
    return round(size / 2**30, 1)
