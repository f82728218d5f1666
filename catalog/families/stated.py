"""What the files of a model may state about its variant; `weight_files` reads it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Stated:
    """names: of the model and of what it was trained from, out of the files' metadata.

    distilled: None if they do not say. shift: of the noise levels; None likewise. guided: whether
    the denoiser is told its guidance; None likewise.
    """

    names: tuple[str, ...] = ()
    distilled: bool | None = None
    shift: float | None = None
    guided: bool | None = None


NOTHING: Final = Stated()
