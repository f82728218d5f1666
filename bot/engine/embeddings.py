"""Read embedding files (textual inversions). Imports torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bot.engine.learned import Learned, vectors_of, widths_of
from bot.engine.patches.file_tensors import CutOffError, FileTensors
from bot.engine.subject import Subject, public
from bot.request import EmbeddingUse
from catalog import EmbeddingFacts
from catalog.weight_files import Header, NotSafetensors, embedding_facts, read_header

FILE_LIMIT: Final = 64 * 2**20
"""Bytes. 75 vectors for both of SDXL's text encoders take 0.6 MB."""


def check_header(path: Path, subject: Subject) -> tuple[Header, EmbeddingFacts]:
    """Refuse a file that is not an embedding, from its header alone. Raises JobFailed."""
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise subject.failed("embedding.too_large", limit=FILE_LIMIT // 2**20)
        header = read_header(path)
    except NotSafetensors as error:
        raise subject.failed("embedding.not_safetensors", reason=str(error)) from None
    except OSError:
        raise subject.failed("embedding.missing", path=public(str(path))) from None
    facts = embedding_facts(header, surely=True)
    if facts is None or facts.flaw:
        kind = facts.flaw if facts else "not an embedding"
        raise subject.failed("embedding.unsupported", kind=kind)
    return header, facts


def read(path: Path, uses: Sequence[EmbeddingUse], subject: Subject) -> Learned:
    """Read and check a whole embedding file. uses: of the request, for the words.

    Raises JobFailed, and what `subject.check_stop` raises.
    """
    header, facts = check_header(path, subject)
    try:
        contents = FileTensors(path, header, subject.check_stop)
    except CutOffError:
        raise subject.failed("embedding.not_safetensors", reason="it is cut off") from None
    except OSError:
        raise subject.failed("embedding.missing", path=public(str(path))) from None
    vectors = vectors_of(facts, contents)
    if vectors is None:
        raise subject.failed("embedding.not_finite")
    words = tuple(use.word for use in uses if use.key == subject.key)
    return Learned(vectors, words, facts.unused)


def read_all(
    found: Sequence[tuple[Path, Subject]], uses: Sequence[EmbeddingUse], encoders: Mapping[str, Any]
) -> list[Learned]:
    """Read every embedding of a request, and check that it is for the model's text encoders.

    Raises as `read`.
    """
    learned = []
    for path, subject in found:
        each = read(path, uses, subject)
        if not each.fits(encoders):
            widths, expected = each.widths.values(), widths_of(encoders).values()
            raise subject.failed(
                "embedding.other_width",
                found=" + ".join(map(str, widths)),
                expected=" + ".join(map(str, expected)),
            )
        learned.append(each)
    return learned
