"""Fetching: what a worker lacks comes from the bot over HTTP, by digest, and is verified.

The size is told first. What was cut off goes on where it ended, also after a restart. Whatever does
not have the digest that was asked for is thrown away.
"""

import hashlib
import ipaddress
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from bot.distributed.fetched import Fetched, SentFile
from bot.distributed.inventory import Inventory
from bot.distributed.localising import PartMissing, digests_of, localise
from bot.distributed.parts import Kind, digest_of, is_folder_of, is_sound, stamp_of
from bot.errors import JobFailed, SettingsError
from bot.order import Order
from bot.progress import Progress, Stage
from catalog.weight_files.gguf import MODEL_SUFFIXES

log = logging.getLogger(__name__)

FILES_MAX: Final = 256
LIST_MAX: Final = 2**20
"""Bytes of the list of a part's files."""
FILE_MAX: Final = 2**40
TEXT_MAX: Final = 64 * 2**20
"""Bytes of a file that is no weights."""
SPARE: Final = 2 * 2**30
"""Bytes that stay free on the disk."""
PIECE: Final = 2**20
TIMEOUT: Final = httpx2.Timeout(10, connect=5)
"""Seconds without a byte: a job that is cancelled meanwhile ends no sooner."""
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds before each further try, as long as nothing comes."""
AWAY: Final = (429, 502, 503, 504)
"""What the bot answers while it sends to others, and a proxy while it is away."""
AGAIN_MIN: Final = 1.0
AGAIN_MAX: Final = 30.0
"""Seconds to wait at least and at most when the bot says for how long."""
AGAIN_TIMES: Final = 720
"""How often it may say so in a row while nothing comes: for an hour, if it says 5 seconds."""
LOOK: Final = 0.1
"""Seconds between two looks at whether the job was stopped, while waiting."""

_T = TypeVar("_T")

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


class FetchFailed(JobFailed):
    """A part cannot be had from the bot; the code says why."""


def _wrong(job: "_Job", why: str) -> FetchFailed:
    """What came is not what was asked for."""
    log.warning("%s: what the bot sent is thrown away: %s", job.key, why)
    return FetchFailed("part.wrong", name=job.key)


class _Away(Exception):
    """The bot cannot be reached, or the connection was cut; trying again may help.

    again: seconds after which the bot wants to be asked again; None if it did not say.
    """

    def __init__(self, why: str, again: float | None = None) -> None:
        super().__init__(why)
        self.again = again


@checked(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class _Listed:
    """A file of a part, as the bot lists it."""

    name: Annotated[str, Field(min_length=1, max_length=512)]
    size: Annotated[int, Field(ge=0, le=FILE_MAX)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@checked(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class _List:
    """hub: whether the part is known by its name on the hub, not by its files."""

    hub: bool
    files: Annotated[list[_Listed], Field(min_length=1, max_length=FILES_MAX)]


_LIST: Final = TypeAdapter(_List)


@dataclass(frozen=True, slots=True)
class _Job:
    """For whom something is fetched. key: of the entry, for reports and errors."""

    key: str
    report: Report
    check_stop: CheckStop


class Fetcher:
    """Fetches one part at a time, for one worker.

    url: of the root of the bot's HTTP interface. key: one that was made for a worker.
    """

    def __init__(self, url: str, key: str, fetched: Fetched, inventory: Inventory) -> None:
        """Raises SettingsError if `url` would show the key to others."""
        check_address(url)
        self._fetched = fetched
        self._inventory = inventory
        self._turn = threading.Lock()
        self._client = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            # The digest is that of the bytes as they are.
            headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
            timeout=TIMEOUT,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def complete(self, order: Order, report: Report, check_stop: CheckStop) -> Order:
        """As `localise`, after fetching what is missing. Blocks until it is there.

        Raises FetchFailed if it cannot be had, what `check_stop` raises, OSError, NotAnAddress.
        """
        tried: set[str] = set()
        needed = digests_of(order)
        while True:
            try:
                return localise(order, self._inventory)
            except PartMissing as missing:
                if missing.digest in tried:
                    raise
                tried.add(missing.digest)
                job = _Job(missing.key, report, check_stop)
                self._fetch(missing.kind, missing.digest, job, needed)

    def _fetch(self, kind: Kind, digest: str, job: _Job, needed: Collection[str]) -> None:
        with self._alone(job):
            if self._inventory.holding(digest) is not None:
                return  # another order has fetched it meanwhile
            job.report(Progress(Stage.DOWNLOADING, subject=job.key))
            files = self._list(kind, digest, job)
            total = sum(sent.size for sent in files)
            log.info("fetching %s %s: %d files, %d bytes", kind, job.key, len(files), total)
            self._make_room(files, total, job, needed)
            done, placed = 0, []
            for sent in files:
                path = self._linked(sent) or self._load(sent, done, max(total, 1), job)
                placed.append((sent, path))
                done += sent.size
            bundle = self._fetched.keep(digest, kind, placed)
            self._inventory.verified(bundle, [sent.sha256 for sent in files])

    @contextmanager
    def _alone(self, job: _Job) -> Iterator[None]:
        while not self._turn.acquire(timeout=LOOK):
            job.check_stop()
            job.report(Progress(Stage.DOWNLOADING, subject=job.key))
        try:
            yield
        finally:
            self._turn.release()

    def _list(self, kind: Kind, digest: str, job: _Job) -> tuple[SentFile, ...]:
        """The files of a part, checked as far as that is possible before they are here."""

        def ask() -> bytes:
            with self._answer(f"worker/parts/{digest}", {}, job) as answer:
                return b"".join(_at_most(LIST_MAX, answer, job))

        data = self._insistently(ask, lambda: 0, job)
        try:
            listed = _LIST.validate_json(data)
        except ValidationError:
            raise _wrong(job, "it is no list of files") from None
        files = tuple(SentFile(each.name, each.size, each.sha256) for each in listed.files)
        names = [sent.name for sent in files]
        if len(set(map(str.casefold, names))) < len(names) or not all(map(is_sound, names)):
            raise _wrong(job, "a file has a name that it may not have")
        if any(s.size > TEXT_MAX and not s.name.endswith(MODEL_SUFFIXES) for s in files):
            raise _wrong(job, f"a text has more than {TEXT_MAX} bytes")
        own = digest_of(names, (sent.sha256 for sent in files), folder=is_folder_of(kind, names))
        # What is on the hub is known by its name there.
        if own != digest and not listed.hub:
            raise _wrong(job, f"the files listed have the digest {own[:12]}, not {digest[:12]}")
        return files

    def _make_room(
        self, files: Sequence[SentFile], total: int, job: _Job, needed: Collection[str]
    ) -> None:
        """Raises FetchFailed if there is not enough."""
        if not self._fetched.make_room(total, needed):
            limit = self._fetched.limit
            raise FetchFailed("part.too_large", name=job.key, size=_gib(total), limit=_gib(limit))
        there = [self._fetched.partial(sent.sha256) for sent in files]
        have = sum(path.stat().st_size for path in there if path.is_file())
        free = shutil.disk_usage(self._fetched.folder).free - SPARE
        if total - have > free:
            raise FetchFailed("part.disk_full", name=job.key, size=_gib(total), free=_gib(free))

    def _linked(self, sent: SentFile) -> Path | None:
        """The same file, if this machine has it already as part of something else."""
        own = self._inventory.file(sent.sha256)
        if own is None:
            return None
        path = self._fetched.partial(sent.sha256)
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

    def _load(self, sent: SentFile, before: int, total: int, job: _Job) -> Path:
        """The file, from the bot. before: bytes of the part that are here already."""
        path = self._fetched.partial(sent.sha256)
        heard = 0.0

        def told(have: int) -> None:
            nonlocal heard
            job.check_stop()
            if (now := time.monotonic()) - heard > LOOK:
                heard = now
                fraction = min((before + have) / total, 1.0)
                job.report(Progress(Stage.DOWNLOADING, subject=job.key, fraction=fraction))

        self._insistently(lambda: self._continue(sent, path, told, job), lambda: _size(path), job)
        return path

    def _continue(self, sent: SentFile, path: Path, told: Callable[[int], None], job: _Job) -> None:
        """Load what `path` lacks of a file. Raises FetchFailed if it is another, and _Away."""
        have = _size(path)
        if have > sent.size:
            path.unlink()
            have = 0
        running = hashlib.sha256()
        resumed = have > 0
        if resumed:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    running.update(piece)
                    told(file.tell())
        if have < sent.size or not resumed:
            wanted = {"Range": f"bytes={have}-"} if have else {}
            with self._answer(f"worker/files/{sent.sha256}", wanted, job) as answer:
                if answer.status_code == httpx2.codes.OK and have:
                    have, resumed, running = 0, False, hashlib.sha256()
                _check_head(answer, sent, have, job)
                with path.open("ab" if have else "wb") as file:
                    for piece in _at_most(sent.size - have, answer, job):
                        running.update(piece)
                        file.write(piece)
                        have += len(piece)
                        told(have)
                    file.flush()
                    os.fsync(file.fileno())
            if have < sent.size:
                raise _Away("the connection was cut")
        if running.hexdigest() != sent.sha256:
            path.unlink()
            if resumed:  # what was there before may have been at fault
                raise _Away("what an earlier attempt had left was damaged")
            raise _wrong(job, f"a file has another digest than {sent.sha256[:12]}")

    @contextmanager
    def _answer(
        self, path: str, headers: Mapping[str, str], job: _Job
    ) -> Iterator[httpx2.Response]:
        """What the bot answers, while the block reads it. Raises FetchFailed and _Away."""
        try:
            with self._client.stream("GET", path, headers=dict(headers)) as answer:
                if answer.status_code in AWAY:
                    raise _Away(f"it answers {answer.status_code}", _seconds(answer))
                if answer.status_code == httpx2.codes.NOT_FOUND:
                    raise FetchFailed("part.missing", name=job.key)
                if not answer.is_success:
                    raise FetchFailed("part.refused", name=job.key, status=answer.status_code)
                yield answer
        except httpx2.TransportError as error:
            raise _Away(type(error).__name__) from error

    def _insistently(self, call: Callable[[], _T], come: Callable[[], int], job: _Job) -> _T:
        """Repeat a call while the bot is away, and longer if it says when to come again.

        come: how many bytes are there; as long as they become more, it is not away.
        """
        pauses, before, agains = iter(PAUSES), come(), 0
        while True:
            job.check_stop()
            try:
                return call()
            except _Away as away:
                why, pause = away, away.again
            if come() > before:
                pauses, before, agains = iter(PAUSES), come(), 0
            if pause is not None:
                agains += 1
                pause = max(AGAIN_MIN, pause) if agains <= AGAIN_TIMES else None
            else:
                pause = next(pauses, None)
            if pause is None:
                raise FetchFailed("part.unreachable", name=job.key, reason=str(why)) from why
            log.info("%s: trying again in %.1f s: %s", job.key, pause, why)
            until = time.monotonic() + pause
            while (left := until - time.monotonic()) > 0:
                job.check_stop()
                job.report(Progress(Stage.DOWNLOADING, subject=job.key))
                time.sleep(min(left, LOOK))


def check_address(url: str) -> None:
    """Raise SettingsError unless only the bot itself can read what is sent to `url`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"}:
        raise SettingsError(
            "IMAGEN_FETCH_FROM: must be the address of the bot's HTTP interface, such as "
            "https://imagen.example.org"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise SettingsError(
            f"IMAGEN_FETCH_FROM: must begin with https:// for another machine, got {host!r}: the "
            "key could be read on the way"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_head(answer: httpx2.Response, sent: SentFile, have: int, job: _Job) -> None:
    """Raise FetchFailed unless what comes is the rest of the file, of the size that was told."""
    expected = f"bytes {have}-{sent.size - 1}/{sent.size}"
    ranged = answer.headers.get("content-range") == expected
    length = answer.headers.get("content-length")
    if length != str(sent.size - have) or (have > 0 and not ranged):
        raise _wrong(job, f"a file of {sent.size} bytes was told, {length} come from {have} on")


def _at_most(most: int, answer: httpx2.Response, job: _Job) -> Iterator[bytes]:
    """The body. Raises FetchFailed when it is larger."""
    left = most
    for piece in answer.iter_raw():  # as it comes, so that nothing is lost when it is cut off
        left -= len(piece)
        if left < 0:
            raise _wrong(job, "it is larger than was told")
        yield piece


def _seconds(answer: httpx2.Response) -> float | None:
    """When to come again, as the bot says it."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), AGAIN_MAX) if said.isascii() and said.isdigit() else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _gib(size: int) -> float:
    return round(size / 2**30, 1)
