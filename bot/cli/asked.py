"""What the options of `main.py imagine`, `compare`, `upscale` and `describe` ask for."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bot.errors import InvalidRequest
from bot.files.inputs import check_file
from bot.request import (
    CONTROL_IMAGES,
    EDITED,
    AnyDraft,
    CompareDraft,
    DescribeDraft,
    Draft,
    UpscaleDraft,
    axes_asked,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """draft: without its images. pictures: image files, by the draft's field. out: a folder."""

    draft: AnyDraft
    pictures: Mapping[str, bytes] = field(repr=False)
    out: Path | None

    @classmethod
    async def read(cls, options: argparse.Namespace) -> Self:
        """options: of one of the calls in DRAFTS.

        Raises InvalidRequest if an image file cannot be read, if there are too many, or values
        of no axis.
        """
        files = {"image": options.image}
        if options.call not in ("upscale", "describe"):
            files |= {"mask": options.mask, "reference": options.reference}
            files |= dict(zip(EDITED, options.edit, strict=False))
            files |= _followed(options.control_image)
        draft = _draft(options)
        pictures = {
            name: await asyncio.to_thread(_contents, name, file)
            for name, file in files.items()
            if file is not None
        }
        return cls(draft, pictures, options.out)


def _draft(options: argparse.Namespace) -> AnyDraft:
    if options.call == "upscale":
        return _upscale(options)
    if options.call == "describe":
        return DescribeDraft(style=options.style)
    draft = Draft.from_options(
        vars(options),
        lora=", ".join(options.lora) or None,
        image=None,
        mask=None,
        reference=None,
    )
    if options.call == "imagine":
        return draft
    asks = axes_asked(options.axis, options.values, options.axis2, options.values2)
    return CompareDraft(draft=draft, asks=asks)


def _upscale(options: argparse.Namespace) -> UpscaleDraft:
    return UpscaleDraft(
        scale=options.scale,
        upscaler=options.upscaler,
        mode=options.mode,
        prompt=options.prompt,
        negative=options.negative,
        model=options.model,
        lora=", ".join(options.lora) or None,
        strength=options.strength,
        steps=options.steps,
        seed=options.seed,
    )


def _followed(files: Sequence[Path]) -> dict[str, Path]:
    """What ControlNets follow, by the draft's field. Raises InvalidRequest for too many files."""
    if len(files) > len(CONTROL_IMAGES):
        name, *_ = CONTROL_IMAGES
        most = len(CONTROL_IMAGES)
        raise InvalidRequest(name, "control.many_images", value=len(files), max=most)
    return dict(zip(CONTROL_IMAGES, files, strict=False))


def _contents(name: str, file: Path) -> bytes:
    try:
        # The size first, so that an oversized file is never read.
        check_file(name, size=file.stat().st_size)
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(
            name, "picture.unreadable", value=str(file), reason=error.strerror or "I/O error"
        ) from None
