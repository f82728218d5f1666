"""Source: the bot's HTTP interface, as the place that a worker's missing files come from.

The size is told first. What was cut off goes on where it ended, also after a restart. Whatever does
not have the digest that was asked for is thrown away.
"""

import hashlib
import ipaddress
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from bot.distributed.bundles import digest_of, is_folder_of, is_sound
from bot.distributed.fetched import SentFile
from bot.distributed.parts import Kind
from bot.errors import JobFailed, SettingsError
from catalog.weight_files.gguf import MODEL_SUFFIXES

log = logging.getLogger(__name__)

FILES_MAX: Final = 256
LIST_MAX: Final = 2**20
"""Bytes of the list of a part's files."""
FILE_MAX: Final = 2**40
TEXT_MAX: Final = 64 * 2**20
"""Bytes of a file that is no weights."""
PIECE: Final = 2**20
TIMEOUT: Final = httpx2.Timeout(10, connect=5)
"""Seconds without a byte until it is tried again. Nobody who has given up waits for that."""
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds before each further try, as long as nothing comes."""
AWAY: Final = (429, 502, 503, 504)
"""What the bot answers while it sends to others, and a proxy while it is away."""
AGAIN_MIN: Final = 1.0
AGAIN_MAX: Final = 30.0
"""Seconds to wait at least and at most when the bot says for how long."""
AGAIN_TIMES: Final = 720
"""How often it may say so in a row while nothing comes: for an hour, if it says 5 seconds."""

_T = TypeVar("_T")


class FetchFailed(JobFailed):
    """A part cannot be had from the bot; the code says why."""


class NotWaitedFor(Exception):
    """Whoever waited for a part has given up."""


@dataclass(slots=True)
class Download:
    """One part on its way, as the thread that fetches it and the one that waits for it know it.

    key: of the entry, for logs and errors. fraction: 0.0-1.0 of its bytes that are there.
    """

    key: str
    fraction: float = 0.0
    _given_up: threading.Event = field(default_factory=threading.Event)

    def give_up(self) -> None:
        self._given_up.set()

    def check(self) -> None:
        """Raise NotWaitedFor once it was given up."""
        self.pause(0)

    def pause(self, seconds: float) -> None:
        """Wait so long. Raises as `check`, as soon as it was given up."""
        if self._given_up.wait(seconds):
            raise NotWaitedFor


def _wrong(download: Download, why: str) -> FetchFailed:
    """What came is not what was asked for."""
    log.warning("%s: what the bot sent is thrown away: %s", download.key, why)
    return FetchFailed("part.wrong", name=download.key)


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


class Source:
    """url: of the root of the bot's HTTP interface. key: one that was made for a worker."""

    def __init__(self, url: str, key: str) -> None:
        """Raises SettingsError if `url` would show the key to others."""
        check_address(url)
        self._client = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            # The digest is that of the bytes as they are.
            headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
            timeout=TIMEOUT,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def files_of(self, kind: Kind, digest: str, download: Download) -> tuple[SentFile, ...]:
        """The files of a part, checked as far as that is possible before they are here.

        Raises FetchFailed, and NotWaitedFor.
        """

        def ask() -> bytes:
            with self._answer(f"worker/parts/{digest}", {}, download) as answer:
                return b"".join(_at_most(LIST_MAX, answer, download))

        data = self._insistently(ask, lambda: 0, download)
        try:
            listed = _LIST.validate_json(data)
        except ValidationError:
            raise _wrong(download, "it is no list of files") from None
        files = tuple(SentFile(each.name, each.size, each.sha256) for each in listed.files)
        names = [sent.name for sent in files]
        if len(set(map(str.casefold, names))) < len(names) or not all(map(is_sound, names)):
            raise _wrong(download, "a file has a name that it may not have")
        if any(s.size > TEXT_MAX and not s.name.endswith(MODEL_SUFFIXES) for s in files):
            raise _wrong(download, f"a text has more than {TEXT_MAX} bytes")
        own = digest_of(names, (sent.sha256 for sent in files), folder=is_folder_of(kind, names))
        # What is on the hub is known by its name there.
        if own != digest and not listed.hub:
            raise _wrong(download, f"the files have the digest {own[:12]}, not {digest[:12]}")
        return files

    def load(
        self, sent: SentFile, path: Path, download: Download, told: Callable[[int], None]
    ) -> None:
        """Have the file at `path`, of which an earlier attempt may have left a part there.

        told: is told how many bytes are there. Raises FetchFailed, NotWaitedFor and OSError.
        """
        self._insistently(
            lambda: self._continue(sent, path, download, told), lambda: _size(path), download
        )

    def _continue(
        self, sent: SentFile, path: Path, download: Download, told: Callable[[int], None]
    ) -> None:
        """Load what `path` lacks of a file. Raises FetchFailed if it is another, and _Away."""
        have = _size(path)
        if have > sent.size:
            path.unlink()
            have = 0
        resumed = have > 0
        if have < sent.size or not resumed:
            wanted = {"Range": f"bytes={have}-"} if have else {}
            with self._answer(f"worker/files/{sent.sha256}", wanted, download) as answer:
                if answer.status_code == httpx2.codes.OK and have:
                    have, resumed = 0, False
                _check_head(answer, sent, have, download)
                with path.open("ab" if have else "wb") as file:
                    for piece in _at_most(sent.size - have, answer, download):
                        file.write(piece)
                        have += len(piece)
                        told(have)
                        download.check()
                    file.flush()
                    os.fsync(file.fileno())
            if have < sent.size:
                raise _Away("the connection was cut")
        # Of the file, not of what came: it alone is used, and announced under this digest.
        if _size(path) != sent.size or _digest(path, download) != sent.sha256:
            path.unlink()
            if resumed:  # what was there before may have been at fault
                raise _Away("what an earlier attempt had left was damaged")
            raise _wrong(download, f"a file has another digest than {sent.sha256[:12]}")

    @contextmanager
    def _answer(
        self, path: str, headers: Mapping[str, str], download: Download
    ) -> Iterator[httpx2.Response]:
        """What the bot answers, while the block reads it. Raises FetchFailed and _Away."""
        try:
            with self._client.stream("GET", path, headers=dict(headers)) as answer:
                if answer.status_code in AWAY:
                    raise _Away(f"it answers {answer.status_code}", _seconds(answer))
                if answer.status_code == httpx2.codes.NOT_FOUND:
                    raise FetchFailed("part.missing", name=download.key)
                if not answer.is_success:
                    status = answer.status_code
                    raise FetchFailed("part.refused", name=download.key, status=status)
                yield answer
        except httpx2.TransportError as error:
            raise _Away(type(error).__name__) from error

    def _insistently(
        self, call: Callable[[], _T], come: Callable[[], int], download: Download
    ) -> _T:
        """Repeat a call while the bot is away, and longer if it says when to come again.

        come: how many bytes are there; as long as they become more, it is not away.
        """
        pauses, before, agains = iter(PAUSES), come(), 0
        while True:
            download.check()
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
                key, reason = download.key, str(why)
                raise FetchFailed("part.unreachable", name=key, reason=reason) from why
            log.info("%s: trying again in %.1f s: %s", download.key, pause, why)
            download.pause(pause)


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


def _check_head(answer: httpx2.Response, sent: SentFile, have: int, download: Download) -> None:
    """Raise FetchFailed unless what comes is the rest of the file, of the size that was told."""
    expected = f"bytes {have}-{sent.size - 1}/{sent.size}"
    ranged = answer.headers.get("content-range") == expected
    length = answer.headers.get("content-length")
    if length != str(sent.size - have) or (have > 0 and not ranged):
        raise _wrong(
            download, f"a file of {sent.size} bytes was told, {length} come from {have} on"
        )


def _at_most(most: int, answer: httpx2.Response, download: Download) -> Iterator[bytes]:
    """The body. Raises FetchFailed when it is larger."""
    left = most
    for piece in answer.iter_raw():  # as it comes, so that nothing is lost when it is cut off
        left -= len(piece)
        if left < 0:
            raise _wrong(download, "it is larger than was told")
        yield piece


def _seconds(answer: httpx2.Response) -> float | None:
    """When to come again, as the bot says it."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), AGAIN_MAX) if said.isascii() and said.isdigit() else None


def _digest(path: Path, download: Download) -> str:
    """The sha256 of a file. Raises NotWaitedFor."""
    running = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            running.update(piece)
            download.check()
    return running.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
