"""Progress reports, from the engine thread to the Discord message or the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bot.errors import Param


class Stage(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    ADAPTERS = "adapters"
    UPSCALING = "upscaling"
    DESCRIBING = "describing"
    PAINTING = "painting"
    DECODING = "decoding"
    SAVING = "saving"
    SENDING = "sending"
    RECEIVING = "receiving"


UNLIMITED: Final = frozenset({Stage.DOWNLOADING, Stage.SENDING, Stage.RECEIVING})
"""Stages that take as long as a network does; a job's time begins after them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One report. Fields that a stage does not use stay at their defaults.

    subject: key of the model or adapter being downloaded or loaded.
    position: 1-based place in the queue (QUEUED).
    fraction: 0.0–1.0 of a download, or of what goes to a worker elsewhere (SENDING: the input
        images) and comes back from it (RECEIVING: the result).
    step, steps: denoising steps done and in total (PAINTING), tiles (UPSCALING), or
        words of at most so many (DESCRIBING).
    image, count: 1-based image and images in total (PAINTING, DECODING).
    larger: whether this is the second pass, on the enlarged image (PAINTING, DECODING).
    part, parts: which of the parts that are painted again, counted from 1, and how many there are
        (PAINTING, DECODING).
    preview: a small JPEG of the unfinished `image`; None if there is no newer one (PAINTING).
    ready_at: when it will probably be ready, in seconds since the epoch; None if unknown (QUEUED).
    paused: whether the queue is paused (QUEUED).
    resumes_at: when the quiet hours end, in seconds since the epoch; None if it is not quiet
        (QUEUED).
    larger_gpu: whether it needs a GPU with more memory than some have (QUEUED).
    gpu_away: whether, of those that have enough, none has taken jobs for a while (QUEUED).
    no_files: whether no GPU that is there has the files it needs (QUEUED).
    """

    stage: Stage
    subject: str = ""
    position: int = 0
    fraction: float = 0.0
    step: int = 0
    steps: int = 0
    image: int = 1
    count: int = 1
    larger: bool = False
    part: int = 0
    parts: int = 0
    preview: bytes | None = field(default=None, repr=False)
    ready_at: int | None = None
    paused: bool = False
    resumes_at: int | None = None
    larger_gpu: bool = False
    gpu_away: bool = False
    no_files: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell the person about a result; `code` names its sentence in bot/texts."""

    code: str
    params: Mapping[str, Param]
