"""An ImageInfo as plain text and as JSON, in the words of the form to edit a request."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bot.files.image_info.model import ImageInfo


def as_text(info: ImageInfo) -> str:
    """Everything that the image says: a line for each value, with the prompts last."""
    parts = [
        "\n".join(_lines(info)),
        f"prompt:\n{info.prompt}" if info.prompt else "",
        f"negative:\n{info.negative}" if info.negative else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(info: ImageInfo) -> dict[str, Any]:
    """Everything that the image says, also what is empty."""
    return asdict(info)


def _lines(info: ImageInfo) -> Iterator[str]:
    values: dict[str, object] = {
        "program": info.program,
        "seed": info.seed,
        "variation": info.variation,
        "size": None if info.size is None else f"{info.size[0]}x{info.size[1]}",
        "steps": info.steps,
        "guidance": _number(info.guidance),
        "scheduler": info.sampler,
        "schedule": info.schedule,
        "clip skip": info.clip_skip,
        "hires": _number(info.hires),
        "hires strength": _number(info.hires_strength),
        "hires steps": info.hires_steps,
        "strength": _number(info.strength),
        "detail": info.detail,
        "tile": "yes" if info.tile else None,
    }
    yield from (f"{name}: {value}" for name, value in values.items() if value not in (None, ""))
    if info.model is not None:
        yield f"model: {_with_hashes(str(info.model), info.model.hashes)}"
    yield from (f"LoRA: {_with_hashes(str(lora), lora.hashes)}" for lora in info.loras)
    yield from (f"{name}: {value}" for name, value in info.rest.items())


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _with_hashes(name: str, hashes: tuple[str, ...]) -> str:
    return " ".join([name, *(f"({digest})" for digest in hashes if digest != name)])
