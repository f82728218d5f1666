"""Read an adapter file as a whole: its header, its tensors, its digest."""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from bot.engine.hashing import HashCache, of_listing
from bot.engine.learned import Learned, bundled
from bot.engine.patches.changes import Change
from bot.engine.patches.contents import Contents
from bot.engine.patches.file_tensors import PIECE, CutOffError
from bot.engine.patches.module_reader import ModuleReader
from bot.engine.patches.modules import modules_of
from bot.engine.patches.names import Spellings
from bot.engine.subject import Subject
from bot.progress import Stage
from catalog.embeddings import spellings
from catalog.weight_files import (
    CONFIG_FILE,
    CONFIG_MAX,
    NO_TOKEN,
    UNSUPPORTED,
    BadConfig,
    Configs,
    Header,
    NotSafetensors,
    Opened,
    adapter_facts,
    configs_of,
    open_tensors,
    read_beside,
    strays,
)
from catalog.weight_files.parts import model_kind

FILE_LIMIT: Final = 8 * 2**30
"""Bytes. The largest published LoRAs for SDXL (rank 512, with convolutions) have about 3 GiB."""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """The contents of a file that fit the model.

    changes: to apply, in the order of the file; at most two per module, for weight and bias, where
        a module of the file is one of the model.
    total: modules in the file. matched: modules that are in `changes` completely.
    skipped: for the others (name in the file, reason): "no_such_module" in this model, or
        "no_bias" to change; the weight of such a module is still applied.
    unscaled: whether peft's configuration, which states the scale of its files, is missing.
    nbytes: of RAM, held as long as any change lives.
    sha256: of the bytes that were read: the whole file, and peft's configuration if there is one.
    data_sha256: of those after the header.
    stamp: bytes and mtime in ns of the file; None if it was written to while it was read.
    embeddings: inside the file, by token, NO_TOKEN for one without. unused: names of tensors of
        such that have no use. strays: of numbers that are of no module; see `catalog.weight_files`.
    """

    changes: tuple[Change, ...]
    total: int
    matched: int
    skipped: tuple[tuple[str, str], ...]
    unscaled: bool
    nbytes: int
    sha256: str
    data_sha256: str
    stamp: tuple[int, int] | None
    embeddings: Mapping[str, Learned] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    def called(self, word: str) -> Self:
        """The same with this word as the token of the embedding that has none."""
        if (nameless := self.embeddings.get(NO_TOKEN)) is None:
            return self
        named = {token: each for token, each in self.embeddings.items() if token != NO_TOKEN}
        own = replace(nameless, words=spellings(word))
        return replace(self, embeddings={word: own, **named})


def check_header(path: Path, subject: Subject) -> None:
    """Refuse a file that is not an adapter in .safetensors format, from its header alone.

    Raises JobFailed.
    """
    _open(path, subject)[0].file.close()


def _open(path: Path, subject: Subject) -> tuple[Opened, bytes | None, Configs]:
    """The file, and peft's configuration beside it: its bytes, and what they say with the metadata.

    The caller closes the file. Raises JobFailed.
    """
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise subject.failed("adapter.too_large", limit=FILE_LIMIT // 2**30)
        opened = open_tensors(path)
    except NotSafetensors as error:
        raise subject.failed("adapter.not_safetensors", reason=str(error)) from None
    except OSError as error:
        raise subject.unread(path, error) from error
    with ExitStack() as stack:
        stack.enter_context(opened.file)
        header = opened.header
        try:
            beside = read_beside(path)
            configs = configs_of(path, header.metadata, beside)
        except BadConfig as error:
            raise subject.failed("adapter.bad_config", reason=str(error)) from None
        except OSError as error:
            reason = f"{CONFIG_FILE} cannot be opened ({error.strerror})"
            raise subject.failed("adapter.bad_config", reason=reason) from None
        facts = adapter_facts(header.shapes, header.metadata, configs)
        if facts.other and facts.other == model_kind(header.shapes):
            raise subject.failed("adapter.something_else", kind=facts.other)
        if (kind := facts.algorithm) in UNSUPPORTED:
            raise subject.failed("adapter.unsupported", kind=kind)
        stack.pop_all()
    return opened, beside, configs


def read(
    path: Path,
    names: Spellings,
    bases: Collection[str],
    subject: Subject,
    hashes: HashCache | None = None,
) -> AdapterFile:
    """Read and check a whole adapter file, and peft's configuration beside it.

    names: of the modules of the model that it is for. bases: base models, as
    `catalog.weight_files` names them, whose adapters fit that family. hashes: keeps the digests.
    Raises JobFailed, and what `subject.check_stop` raises.
    """
    opened, beside, configs = _open(path, subject)
    with opened.file:
        digests = hashes.known(path, opened.stat) if hashes else None
        contents = Contents(opened, digests)
        try:
            with contents:
                return _parsed(
                    path, opened.header, configs, beside, contents, names, bases, subject, hashes
                )
        except CutOffError:
            raise subject.failed("adapter.not_safetensors", reason="it is cut off") from None
        except OSError as error:
            raise subject.unread(path, error) from error


def _parsed(
    path: Path,
    header: Header,
    configs: Configs,
    beside: bytes | None,
    contents: Contents,
    names: Spellings,
    bases: Collection[str],
    subject: Subject,
    hashes: HashCache | None,
) -> AdapterFile:
    def tick(fraction: float) -> None:
        subject.tick(Stage.ADAPTERS, fraction)

    tensors = contents.tensors
    biases = any(config.biases for config in configs.values())
    modules = modules_of(header, names, subject, biases=biases)
    reader = ModuleReader(header, configs, len(modules), bases, subject)
    plans = [reader.plan(module, module.target) for module in modules if module.target]
    if not plans:
        raise reader.matches_nothing()
    contents.wait(tick)
    if not tensors.all_finite(subject.check_stop):
        reader.blame(tensors, plans)
    changes = reader.changes(plans, tensors)
    if not changes:
        raise reader.matches_nothing()
    skipped = [(module.name, "no_such_module") for module in modules if not module.target]
    skipped += [(plan.name, "no_bias") for plan in plans if plan.lacks_bias]
    embeddings, unused = bundled(header, tensors)
    digests, hashed = contents.digests(tick)
    steady = contents.steady
    if hashes and hashed and steady:
        hashes.note(path, contents.stat, digests)
    return AdapterFile(
        changes=tuple(changes),
        total=len(modules),
        matched=len(modules) - len(skipped),
        skipped=tuple(skipped),
        unscaled=any(reader.lacks_scale(plan) for plan in plans),
        nbytes=tensors.nbytes,
        sha256=_with_beside(path, digests[0], beside, subject),
        data_sha256=digests[1],
        stamp=(contents.stat.st_size, contents.stat.st_mtime_ns) if steady else None,
        embeddings=embeddings,
        unused=unused,
        strays=tuple(sorted(strays(header.shapes, biases=biases))),
    )


def _with_beside(path: Path, digest: str, beside: bytes | None, subject: Subject) -> str:
    """The digest of a file and of peft's configuration, as of the lines that `sha256sum` prints.

    Raises OSError.
    """
    if beside is None:
        return digest
    seen = hashlib.sha256(beside)
    if len(beside) > CONFIG_MAX:  # not read to its end; the metadata has what it could say
        with path.with_name(CONFIG_FILE).open("rb") as file:
            file.seek(len(beside))
            while piece := file.read(PIECE):
                subject.check_stop()
                seen.update(piece)
    return of_listing([(path.name, digest), (CONFIG_FILE, seen.hexdigest())])
