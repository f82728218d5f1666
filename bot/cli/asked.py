"""What the options of `main.py imagine` ask for."""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bot.errors import InvalidRequest
from bot.files.inputs import check_file
from bot.request import EDITED, Draft


@dataclass(frozen=True, slots=True)
class Asked:
    """draft: without its images. pictures: image files, by the draft's field. out: a folder."""

    draft: Draft
    pictures: Mapping[str, bytes] = field(repr=False)
    out: Path | None

    @classmethod
    async def read(cls, options: argparse.Namespace) -> Self:
        """Raises InvalidRequest if an image file cannot be read."""
        files = {"image": options.image, "mask": options.mask, "reference": options.reference}
        files |= dict(zip(EDITED, options.edit, strict=False))
        draft = Draft.from_options(
            vars(options),
            lora=", ".join(options.lora) or None,
            image=None,
            mask=None,
            reference=None,
        )
        pictures = {
            name: await asyncio.to_thread(_contents, name, file)
            for name, file in files.items()
            if file is not None
        }
        return cls(draft, pictures, options.out)


def _contents(name: str, file: Path) -> bytes:
    try:
        # The size first, so that an oversized file is never read.
        check_file(name, size=file.stat().st_size)
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(
            name, "picture.unreadable", value=str(file), reason=error.strerror or "I/O error"
        ) from None
