"""Read embedding files (textual inversions). Imports torch."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.engine.hashing import of_listing
from bot.engine.learned import Learned, vectors_of, widths_of
from bot.engine.patches.file_tensors import PIECE, CutOffError, FileTensors
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.recipe import Weights
from bot.request import EmbeddingUse
from catalog import EmbeddingFacts
from catalog.weight_files import (
    Header,
    NotSafetensors,
    Opened,
    embedding_facts,
    open_tensors,
    paired_facts,
)

FILE_LIMIT: Final = 64 * 2**20
"""Bytes. 75 vectors for both of SDXL's text encoders take 0.6 MB."""


@dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """An embedding, and the digest of the bytes that it was read from.

    sha256: of its file; of two, as of the lines that `sha256sum` prints.
    """

    learned: Learned
    sha256: str


def check_headers(source: Source, subject: Subject) -> None:
    """Refuse files that are not an embedding, from their headers alone. Raises JobFailed."""
    with ExitStack() as stack:
        opened = [stack.enter_context(_opened(path, subject)) for path in source.files]
        _facts([each.header for each in opened], subject)


@contextmanager
def _opened(path: Path, subject: Subject) -> Iterator[Opened]:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise subject.failed("embedding.too_large", limit=FILE_LIMIT // 2**20)
        opened = open_tensors(path)
    except NotSafetensors as error:
        raise subject.failed("embedding.not_safetensors", reason=str(error)) from None
    except OSError as error:
        raise subject.unread(path, error) from error
    with opened.file:
        yield opened


def _facts(headers: Sequence[Header], subject: Subject) -> EmbeddingFacts:
    if len(headers) == 2:
        facts = paired_facts(*headers)
    else:
        facts = embedding_facts(headers[0], surely=True)
    if facts is None or facts.flaw:
        kind = facts.flaw if facts else "not an embedding"
        raise subject.failed("embedding.unsupported", kind=kind)
    return facts


def read(source: Source, uses: Sequence[EmbeddingUse], subject: Subject) -> EmbeddingFile:
    """Read and check a whole embedding. uses: of the request, for the words.

    Each file is opened once, so that the digest is that of the numbers, whatever happens to the
    file meanwhile. Raises JobFailed, and what `subject.check_stop` raises.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(_opened(path, subject)) for path in source.files]
        facts = _facts([each.header for each in opened], subject)
        try:
            contents = [_contents(each, subject) for each in opened]
        except CutOffError:
            raise subject.failed("embedding.not_safetensors", reason="it is cut off") from None
        except OSError as error:
            raise subject.unread(source.files[0], error) from error
    vectors = vectors_of(facts, *(tensors for tensors, _ in contents))
    if vectors is None:
        raise subject.failed("embedding.not_finite")
    words = tuple(use.word for use in uses if use.key == subject.key)
    digests = [digest for _, digest in contents]
    names = [path.relative_to(source.root).as_posix() for path in source.files]
    return EmbeddingFile(
        Learned(vectors, words, facts.unused),
        digests[0] if source.single else of_listing(zip(names, digests, strict=True)),
    )


def _contents(opened: Opened, subject: Subject) -> tuple[FileTensors, str]:
    """The tensors of a file, and the hex digest of all its bytes. Raises CutOffError, OSError."""
    seen = hashlib.sha256(opened.start)
    tensors = FileTensors(opened.header)
    for piece in tensors.fill(opened.file):
        subject.check_stop()
        seen.update(piece)
    # What follows the tensors, up to where the file ended when it was opened.
    while rest := opened.file.read(min(PIECE, max(0, opened.stat.st_size - opened.file.tell()))):
        subject.check_stop()
        seen.update(rest)
    return tensors, seen.hexdigest()


def read_all(
    found: Sequence[tuple[Source, Subject]],
    uses: Sequence[EmbeddingUse],
    encoders: Mapping[str, Any],
) -> list[EmbeddingFile]:
    """Read every embedding of a request, and check that it is for the model's text encoders.

    Raises as `read`.
    """
    files = []
    for source, subject in found:
        file = read(source, uses, subject)
        if not file.learned.fits(encoders):
            widths, expected = file.learned.widths.values(), widths_of(encoders).values()
            raise subject.failed(
                "embedding.other_width",
                found=" + ".join(map(str, widths)),
                expected=" + ".join(map(str, expected)),
            )
        files.append(file)
    return files


def weights_of(
    found: Sequence[tuple[Source, Subject]], files: Sequence[EmbeddingFile]
) -> tuple[Weights, ...]:
    """What a recipe says about the embeddings that `read_all` returned."""
    return tuple(
        Weights(subject.key, file.sha256, file.sha256[:12])
        for (_, subject), file in zip(found, files, strict=True)
    )
