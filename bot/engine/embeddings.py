"""Read embedding files (textual inversions). Imports torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bot.engine.learned import Learned, vectors_of, widths_of
from bot.engine.patches.file_tensors import CutOffError, FileTensors
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.request import EmbeddingUse
from catalog import EmbeddingFacts
from catalog.weight_files import (
    Header,
    NotSafetensors,
    embedding_facts,
    paired_facts,
    read_header,
)

FILE_LIMIT: Final = 64 * 2**20
"""Bytes. 75 vectors for both of SDXL's text encoders take 0.6 MB."""


def check_headers(source: Source, subject: Subject) -> tuple[tuple[Header, ...], EmbeddingFacts]:
    """Refuse files that are not an embedding, from their headers alone. Raises JobFailed."""
    headers = tuple(_header(path, subject) for path in source.files)
    if len(headers) == 2:
        facts = paired_facts(*headers)
    else:
        facts = embedding_facts(headers[0], surely=True)
    if facts is None or facts.flaw:
        kind = facts.flaw if facts else "not an embedding"
        raise subject.failed("embedding.unsupported", kind=kind)
    return headers, facts


def _header(path: Path, subject: Subject) -> Header:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise subject.failed("embedding.too_large", limit=FILE_LIMIT // 2**20)
        return read_header(path)
    except NotSafetensors as error:
        raise subject.failed("embedding.not_safetensors", reason=str(error)) from None
    except OSError as error:
        raise subject.unread(path, error) from error


def read(source: Source, uses: Sequence[EmbeddingUse], subject: Subject) -> Learned:
    """Read and check a whole embedding. uses: of the request, for the words.

    Raises JobFailed, and what `subject.check_stop` raises.
    """
    headers, facts = check_headers(source, subject)
    try:
        files = [
            FileTensors.read(path, header, subject.check_stop)
            for path, header in zip(source.files, headers, strict=True)
        ]
    except CutOffError:
        raise subject.failed("embedding.not_safetensors", reason="it is cut off") from None
    except OSError as error:
        raise subject.unread(source.files[0], error) from error
    vectors = vectors_of(facts, *files)
    if vectors is None:
        raise subject.failed("embedding.not_finite")
    words = tuple(use.word for use in uses if use.key == subject.key)
    return Learned(vectors, words, facts.unused)


def read_all(
    found: Sequence[tuple[Source, Subject]],
    uses: Sequence[EmbeddingUse],
    encoders: Mapping[str, Any],
) -> list[Learned]:
    """Read every embedding of a request, and check that it is for the model's text encoders.

    Raises as `read`.
    """
    learned = []
    for source, subject in found:
        each = read(source, uses, subject)
        if not each.fits(encoders):
            widths, expected = each.widths.values(), widths_of(encoders).values()
            raise subject.failed(
                "embedding.other_width",
                found=" + ".join(map(str, widths)),
                expected=" + ".join(map(str, expected)),
            )
        learned.append(each)
    return learned
