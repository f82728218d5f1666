"""Inventory: the digest of each part of a catalog, and where the part with a digest is here.

Files are hashed in the background, one after the other and never more than half of the time; what
is known of a file is kept for the next start, and for as long as the file does not change.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Never

from bot.distributed.bundles import Bundle, Member, bundle_of, digest_of, is_sound
from bot.distributed.fetched import Fetched, SentFile
from bot.distributed.parts import (
    Kind,
    Part,
    config_of,
    is_digest,
    part_of,
    part_of_model,
    parts_of_catalog,
    parts_of_model,
)
from bot.distributed.readings import Contents, is_whole
from bot.engine.hashing import HashCache, of_listing
from bot.request import GenerationRequest
from catalog import Catalog, LiveCatalog, ModelEntry
from catalog.disk import reason_of
from catalog.locate import locate
from catalog.weight_files import HeaderError, UnreadableFile
from catalog.weight_files.gguf import MODEL_SUFFIXES, read_model_header
from catalog.weight_files.parts import lacking_networks

log = logging.getLogger(__name__)

UNKNOWN: Final = ""
"""Stands among the digests that an order needs for one that is not known yet. Nobody has it."""
EVERY: Final = 2.0
"""Seconds between two looks at whether the catalog has changed."""
AGAIN: Final = 60.0
"""Seconds after which the files are looked at although the catalog is the same."""
REST_MAX: Final = 1.0
"""Seconds of rest at most, after as much hashing."""


class Stopped(Exception):
    """Hashing was told to end."""


@dataclass(frozen=True, slots=True)
class Holding:
    """How a part is opened on this machine.

    opened: what stands in an entry for it. bundle: its files; None for what the engine finds in the
    hub's cache, or downloads. here: whether nothing has to be downloaded for it.
    """

    opened: Part
    bundle: Bundle | None = None
    here: bool = True


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part as a worker is told of it. hub: its digest is that of its name on the hub."""

    hub: bool
    files: tuple[SentFile, ...]


@dataclass(slots=True)
class _Known:
    """What is known of one catalog.

    digests: of its parts; UNKNOWN where it is not known yet, and no entry where the files are not
    there. holdings, sent: by the digest of the part. files: by their own digest. hashing: the parts
    that wait for each file. contents: of the parts that are known by them. lacking: the networks
    that a model's file has not got, where it is here. downloads: the repositories of holdings that
    are not here yet.
    """

    digests: dict[Part, str] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    sent: dict[str, SentPart] = field(default_factory=dict)
    files: dict[str, Member] = field(default_factory=dict)
    bundles: dict[Part, Bundle] = field(default_factory=dict)
    hashing: dict[Path, list[Part]] = field(default_factory=dict)
    contents: dict[Part, Contents] = field(default_factory=dict)
    lacking: dict[Part, tuple[str, ...]] = field(default_factory=dict)
    downloads: set[tuple[str, str | None]] = field(default_factory=set)


class Inventory:
    """Of one machine. Any thread may use it; `update` and `hash_next` block.

    hashes: keeps the digests of files. fetched: what was fetched from elsewhere; None for none.
    """

    def __init__(self, models_dir: Path, hashes: HashCache, fetched: Fetched | None = None) -> None:
        self._models_dir = models_dir
        self._hashes = hashes
        self._fetched = fetched
        self._known = _Known()
        self.updates = 0
        """How often it was looked where the parts are."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wanted: dict[Part, None] = {}  # those that orders wait for
        self._lacking: dict[Path, tuple[tuple[int, int], tuple[str, ...]]] = {}
        """By the file of a model, with its stamp."""

    @property
    def digests(self) -> frozenset[str]:
        """Of all parts that orders can use here."""
        with self._lock:
            own = frozenset(self._known.holdings)
        return own if self._fetched is None else own | self._fetched.digests

    @property
    def downloads(self) -> int:
        """How many repositories of the hub the engine has to get some of these from first."""
        return len(self._known.downloads)

    def digest_of(self, part: Part) -> str | None:
        """UNKNOWN if it is not known yet, None if the catalog has no such part, or it is not there.

        One that is not known yet is hashed before others.
        """
        digest = self._known.digests.get(part)
        if digest == UNKNOWN:
            self._wanted[part] = None
        return digest

    def needs_of(self, request: GenerationRequest, catalog: Catalog) -> tuple[str, ...]:
        """The digests of all that `request` needs; UNKNOWN among them if one is not known yet.

        What the catalog does not have, or is not there, is left out: the job fails for that reason
        wherever it runs. Reads only memory.
        """
        found = {self.digest_of(part): None for part in self._parts_of(request, catalog)}
        return tuple(digest for digest in found if digest is not None)

    def lent_of(self, entry: ModelEntry) -> tuple[str, ...]:
        """The networks that a model has from the configuration that completes it; all that it could
        have, where its own file is not here. Reads only memory."""
        if config_of(entry) is None:
            return ()
        lacking = self._known.lacking.get(part_of_model(entry), tuple(entry.family.lent))
        return tuple(network for network in lacking if network not in entry.replaced)

    def knows_lent(self, entry: ModelEntry) -> bool:
        """Whether it is known which these are."""
        return not entry.family.lent or part_of_model(entry) in self._known.lacking

    def contents(self, part: Part) -> Contents | None:
        """None where they are not known, or are not what the part is known by, as on the hub."""
        return self._known.contents.get(part)

    def owns(self, digest: str) -> bool:
        """Whether the part with this digest is one of the catalog's that is here, and was not
        fetched."""
        with self._lock:
            held = self._known.holdings.get(digest)
        return held is not None and held.here

    def holding(self, digest: str) -> Holding | None:
        """The part with this digest, if it is here or can be downloaded from the hub. Blocks
        briefly: only if its files are still as they were when they were hashed."""
        with self._lock:
            found = self._known.holdings.get(digest)
        if found is not None and found.bundle is not None and not found.bundle.intact():
            found = None
        if found is not None and found.here:
            return found
        if self._fetched and (fetched := self._fetched.find(digest)):
            kind, bundle = fetched
            return Holding(bundle.opened(kind), bundle)
        return found

    def sent(self, digest: str) -> SentPart | None:
        """The files of a part of the catalog; None if they are not here, or cannot be sent."""
        return self._known.sent.get(digest)

    def file(self, sha256: str) -> Member | None:
        """A file of a part of the catalog, by its own digest."""
        return self._known.files.get(sha256)

    def verified(self, bundle: Bundle, digests: Sequence[str]) -> None:
        """Note the digests of files that were fetched: the engine needs not hash them again."""
        for member, digest in zip(bundle.members, digests, strict=True):
            self._hashes.note_file(member.path, digest)

    async def keep(self, catalog: LiveCatalog) -> Never:
        """Keep up with the catalog and hash what is not known yet, until cancelled."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="inventory")
        self._stop.clear()
        last, at = None, 0.0
        try:
            while True:
                now, busy = catalog.current, False
                try:
                    if now is not last or time.monotonic() - at > AGAIN:
                        await loop.run_in_executor(thread, self.update, now)
                        last, at = now, time.monotonic()
                    busy = await loop.run_in_executor(thread, self.hash_next)
                except Exception:
                    log.exception("the files of the catalog cannot be looked at")
                if not busy:
                    await asyncio.sleep(EVERY)
        finally:
            self._stop.set()
            thread.shutdown(wait=False, cancel_futures=True)

    def update(self, catalog: Catalog) -> None:
        """Look where the parts of `catalog` are. Blocks; reads no weights."""
        known = _Known()
        for part in dict.fromkeys(parts_of_catalog(catalog)):
            try:
                self._look(part, known)
            except OSError as error:
                known.digests[part] = UNKNOWN  # it may be readable the next time
                log.debug("%s cannot be looked at: %s", part.path, reason_of(error))
        self._note_lacking(catalog, known)
        with self._lock:
            self._known = known
            self.updates += 1

    def hash_next(self) -> bool:
        """Hash one file that is not known yet; returns whether there was one. Blocks for long."""
        known = self._known
        if not known.hashing:
            return False
        first = (p for p, parts in known.hashing.items() if any(e in self._wanted for e in parts))
        path = next(first, None) or next(iter(known.hashing))
        try:
            self._hashes.of_file(path, _Sparing(self._stop))
        except Stopped:
            return False
        except OSError as error:
            log.warning("%s cannot be read: %s", path, reason_of(error))
            del known.hashing[path]
            return True
        for part in known.hashing.pop(path):
            self._settle(part, known)
        return True

    def _look(self, part: Part, known: _Known) -> None:
        found = locate(part.path, self._models_dir, part.weight_name, part.revision)
        if found.error is not None:
            raise found.error
        if found.kind == "missing":
            return
        if found.kind in {"cached", "download"}:
            known.digests[part] = part.hub_digest
        bundle = bundle_of(part, found)
        if found.kind in {"cached", "download"}:
            names = [member.name for member in bundle.members] if bundle else []
            for each in (part, *part.lesser):
                here = bundle is not None and is_whole(each, names, folder=bundle.folder)
                known.holdings.setdefault(each.hub_digest, Holding(each, here=here))
                if each is part and not here:
                    known.downloads.add((part.path, part.revision))
        elif bundle is not None:
            known.digests[part] = UNKNOWN
        if bundle is None:
            return
        known.bundles[part] = bundle
        self._settle(part, known)

    def _note_lacking(self, catalog: Catalog, known: _Known) -> None:
        """Note which networks the files of models have not got. Reads the headers of those that
        have changed."""
        before, self._lacking = self._lacking, {}
        for entry in catalog.models.values():
            part = part_of_model(entry)
            bundle = known.bundles.get(part)
            if not entry.family.lent or bundle is None or bundle.folder:
                continue
            file = bundle.members[0]
            stamp, lacking = before.get(file.path, (None, ()))
            if stamp != file.stamp:
                try:
                    header = read_model_header(file.path)
                    lacking = lacking_networks(entry.family, header.shapes)
                except UnreadableFile:
                    continue  # it may be readable the next time
                except HeaderError:
                    lacking = ()  # the job fails for that, wherever it runs
            self._lacking[file.path] = file.stamp, lacking
            known.lacking[part] = lacking

    def _settle(self, part: Part, known: _Known) -> None:
        """Note the digest of a part, if those of all its files are known."""
        bundle = known.bundles[part]
        digests = [self._digest(member) for member in bundle.members]
        if missing := [m for m, d in zip(bundle.members, digests, strict=True) if d is None]:
            for member in missing:
                waiting = known.hashing.setdefault(member.path, [])
                if part not in waiting:
                    waiting.append(part)
            return
        found = [digest for digest in digests if digest is not None]
        names = [member.name for member in bundle.members]
        own_names = names
        contents = Contents(tuple(zip(names, found, strict=True)), bundle.folder)
        own = digest_of(names, found, folder=bundle.folder)
        on_hub = known.digests[part] != UNKNOWN
        digest = known.digests[part] if on_hub else own
        if len(names) == 1 and not bundle.folder:
            suffix = bundle.members[0].path.suffix.lower()
            names = [_ALONE + (suffix if suffix in MODEL_SUFFIXES else MODEL_SUFFIXES[0])]
        with self._lock:
            known.digests[part] = digest
            if not on_hub:
                known.contents[part] = contents
                held = Holding(bundle.opened(part.kind), bundle)
                known.holdings.setdefault(digest, held)
                for lesser in part.lesser if bundle.folder else ():
                    counting = [pair for pair in contents.digests if lesser.counts(pair[0])]
                    known.holdings.setdefault(of_listing(counting), held)
            whole = not on_hub or is_whole(part, own_names, folder=bundle.folder)
            weights = part.kind is Kind.CONFIG or any(n.endswith(MODEL_SUFFIXES) for n in names)
            if weights and all(map(is_sound, names)) and whole:
                for member, sha256 in zip(bundle.members, found, strict=True):
                    known.files.setdefault(sha256, member)
                sent = (
                    SentFile(name, member.size, sha256)
                    for name, member, sha256 in zip(names, bundle.members, found, strict=True)
                )
                known.sent[digest] = SentPart(on_hub, tuple(sent))
        self._wanted.pop(part, None)

    def _parts_of(self, request: GenerationRequest, catalog: Catalog) -> Iterator[Part]:
        for each in request.each:
            if (model := catalog.models.get(each.model)) is not None:
                yield from parts_of_model(model, self.lent_of(model))
            if each.upscale and each.upscale.upscaler in catalog.upscalers.entries:
                yield part_of(catalog.upscalers.entries[each.upscale.upscaler])
            for use in each.adapters:
                if use.key in catalog.adapters:
                    yield part_of(catalog.adapters[use.key])
            for key in each.embedding_keys:
                if key in catalog.embeddings.entries:
                    yield part_of(catalog.embeddings.entries[key])
            reference = catalog.reference_for(each.model) if each.reference else None
            if reference is not None:
                yield part_of(reference)
            for control in each.controls:
                if control.key in catalog.controlnets.entries:
                    yield part_of(catalog.controlnets.entries[control.key])
            if each.needs_depth and catalog.controlnets.depth:
                yield part_of(catalog.controlnets.depth)
            if each.needs_pose and catalog.controlnets.pose:
                yield part_of(catalog.controlnets.pose)
            if (each.detail or each.needs_pose) and catalog.detector:
                yield part_of(catalog.detector)
            if each.describe and catalog.describer:
                yield part_of(catalog.describer)

    def _digest(self, member: Member) -> str | None:
        """The digest of a file, if it is known."""
        try:
            # The hub's cache calls a large file by its digest.
            blob = member.path.readlink() if member.path.is_symlink() else None
            if blob is not None and blob.parent.name == "blobs" and is_digest(blob.name):
                return blob.name
            return self._hashes.whole(member.path)
        except OSError:
            return None


_ALONE: Final = "model"
"""What a file is called, before its ending, that was fetched and has no others beside it."""


class _Sparing:
    """A `Tick` that leaves others half of the time, and raises Stopped when it is to end."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._since = time.monotonic()

    def __call__(self, fraction: float) -> None:
        if self._stop.wait(min(REST_MAX, time.monotonic() - self._since)):
            raise Stopped
        self._since = time.monotonic()
