"""Reports: the progress of an engine, with the previews of unfinished images beside it."""

import io
import re
from dataclasses import replace
from typing import Final

import PIL.Image

from bot.errors import WireError
from bot.progress import Progress, Stage
from bot.request import REGIONS_MAX
from bot.wire.checks import in_range
from bot.wire.codec import Codec

JSON_MAX: Final = 4_096
PREVIEW_MAX: Final = 2**18
"""Bytes of a preview, a JPEG that has 256 pixels on its longer side."""
SIDE_MAX: Final = 1_024
COUNT_MAX: Final = 1_000_000
SUBJECT_MAX: Final = 256

_OF_AN_ENGINE: Final = frozenset(Stage) - {Stage.QUEUED, Stage.SAVING}
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_CODEC: Final = Codec(Progress, "report", JSON_MAX)


def encode(progress: Progress) -> tuple[bytes, bytes]:
    """As JSON, and the preview: b"" if there is none."""
    return _CODEC.encode(replace(progress, preview=None)), progress.preview or b""


def decode(data: bytes, preview: bytes) -> Progress:
    """Reverses `encode`. Raises WireError for what no engine reports, and for a preview that is
    none."""
    progress = _CODEC.decode(data)
    if progress.stage not in _OF_AN_ENGINE or progress.preview is not None:
        raise WireError("report: stage: allowed are those of an engine, the preview beside them")
    if (progress.position, progress.ready_at, progress.paused, progress.resumes_at) != _NOWHERE:
        raise WireError("report: place in the queue: allowed is none")
    if len(progress.subject) > SUBJECT_MAX or not _LINE.fullmatch(progress.subject):
        raise WireError(f"report: subject: allowed is a line of up to {SUBJECT_MAX} characters")
    in_range("report: fraction", progress.fraction, 0, 1)
    in_range("report: steps", progress.steps, 0, COUNT_MAX)
    in_range("report: step", progress.step, 0, progress.steps)
    in_range("report: parts", progress.parts, 0, REGIONS_MAX)
    in_range("report: part", progress.part, 0, progress.parts)
    in_range("report: count", progress.count, 1, COUNT_MAX)
    in_range("report: image", progress.image, 1, progress.count)
    if not preview:
        return progress
    _check_preview(preview)
    return replace(progress, preview=preview)


_NOWHERE: Final = (0, None, False, None)


def _check_preview(data: bytes) -> None:
    in_range("report: bytes of the preview", len(data), 1, PREVIEW_MAX)
    try:
        # Reads no more than its header.
        with PIL.Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            width, height = image.size
    except Exception:  # Pillow raises many kinds for what is damaged
        raise WireError("report: preview: allowed is a JPEG") from None
    in_range("report: sides of the preview", max(width, height), 1, SIDE_MAX)
