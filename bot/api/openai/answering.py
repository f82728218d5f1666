"""Answers: images as OpenAI's clients expect them, whole or as events of a stream."""

import asyncio
import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from PIL import Image as PillowImage

from bot.api.describing import asked_seeds, share
from bot.api.openai.asking import Wanted
from bot.api.openai.bodies import Format, Images, Usage
from bot.api.openai.bodies import Image as ImageBody
from bot.progress import Progress
from bot.store import Job

LOSSLESS: Final[Format] = "png"


async def file_as(path: Path, format_: Format, compression: int) -> bytes:
    """An image of a job in another format; the file itself as PNG. Raises OSError."""

    def read() -> bytes:
        data = path.read_bytes()
        return data if format_ == LOSSLESS else converted(data, format_, compression)

    return await asyncio.to_thread(read)


def converted(data: bytes, format_: Format, compression: int) -> bytes:
    """An image file of ours in another format, without its metadata."""
    buffer = io.BytesIO()
    with PillowImage.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        if format_ == LOSSLESS:
            image.save(buffer, "PNG")
        else:
            image.save(buffer, format_.upper(), quality=compression)
    return buffer.getvalue()


def images_body(job: Job, images: list[ImageBody], wanted: Wanted, warnings: list[str]) -> Images:
    return Images(
        created=created(job),
        data=images,
        output_format=wanted.format,
        quality=wanted.quality,
        size=size_of(job),
        job_id=job.id,
        model=job.request.model,
        warnings=warnings,
    )


def created(job: Job) -> int:
    """When its images were, in seconds since the epoch."""
    return (job.finished_at or job.created_at) // 1000


def size_of(job: Job) -> str:
    width, height = job.request.final_size
    return f"{width}x{height}"


def revised_prompt(job: Job, seed: int) -> str | None:
    """What was painted for the image with this seed, if that is not the prompt as it was sent."""
    request = job.request
    typed = request.template.prompt if request.template else None
    painted = request.of_seed(seed).painted_prompt
    return None if painted == (request.prompt if typed is None else typed) else painted


def image_body(job: Job, seed: int) -> ImageBody:
    """What is told of the image with this seed, still without the image itself."""
    return ImageBody(**asked_seeds(job.request, seed), revised_prompt=revised_prompt(job, seed))


class Partials:
    """Chooses the previews that a stream sends: up to `most` of each image, evenly spread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._image = 0
        self._sent = 0
        self._last: bytes | None = None

    def next(self, job: Job, progress: Progress) -> tuple[int, bytes] | None:
        """The preview to send now, and its index from 0."""
        if progress.preview is None or progress.preview is self._last:
            return None
        if progress.image != self._image:
            self._image, self._sent = progress.image, 0
        done = share(job, progress) * progress.count - (progress.image - 1)
        if self._sent >= self._most or done < (self._sent + 1) / (self._most + 1):
            return None
        self._last = progress.preview
        self._sent += 1
        return self._sent - 1, progress.preview


def partial_event(kind: str, index: int, preview: bytes, wanted: Wanted) -> str:
    """kind: `image_generation` or `image_edit`. preview: a JPEG, smaller than the image will be."""
    with PillowImage.open(io.BytesIO(preview), formats=("JPEG",)) as image:
        size = f"{image.width}x{image.height}"
    if wanted.format != "jpeg":
        preview = converted(preview, wanted.format, wanted.compression)
    return event(
        f"{kind}.partial_image",
        b64_json=base64.b64encode(preview).decode(),
        partial_image_index=index,
        created_at=int(time.time()),
        size=size,
        **_setting(wanted),
    )


def completed_events(kind: str, job: Job, body: Images, wanted: Wanted) -> Iterator[str]:
    for image in body.data:
        yield event(
            f"{kind}.completed",
            **image.model_dump(exclude_none=True),
            created_at=created(job),
            size=body.size,
            usage=Usage().model_dump(),
            job_id=body.job_id,
            model=body.model,
            warnings=body.warnings,
            **_setting(wanted),
        )


def event(kind: str, **fields: Any) -> str:
    """A Server-Sent Event; its name is also in its data."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n"


def _setting(wanted: Wanted) -> dict[str, str]:
    return {
        "background": "opaque",
        "output_format": wanted.format,
        "quality": wanted.quality,
    }
