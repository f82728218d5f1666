"""Where a job is, as it travels from the engine thread to the message and the terminal."""

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    ADAPTERS = "adapters"
    PAINTING = "painting"
    DECODING = "decoding"
    SAVING = "saving"


@dataclass(frozen=True, slots=True)
class Progress:
    """One report. Fields that a stage does not use stay at their defaults.

    subject: key of the model or adapter that is downloaded or loaded.
    position: 1-based place in the queue (QUEUED).
    fraction: 0.0–1.0 of a download.
    step, steps: denoising steps done and in all (PAINTING).
    image, count: 1-based image and images in all (PAINTING, DECODING).
    larger: whether this is the second pass, over the enlarged picture (PAINTING, DECODING).
    preview: a small JPEG of what `image` is becoming; None where there is no newer one (PAINTING).
    ready_at: when it will probably be ready, in seconds since the epoch; None: not known (QUEUED).
    paused: whether nothing is started at present (QUEUED).
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
    preview: bytes | None = field(default=None, repr=False)
    ready_at: int | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """What the person should know about a result; `code` names its sentence in bot/texts."""

    code: str
    params: dict[str, str | int | float]
