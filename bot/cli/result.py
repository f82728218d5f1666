"""What a command line that generated images prints: one shape, wherever they were generated."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.request import GenerationRequest
from bot.texts.language import Say

DONE, JOB_FAILED, BAD_REQUEST = 0, 1, 2
"""Exit codes."""
_TOLD: Final = ("seed", "variation", "cell", "width", "height", "sha256")
"""What is said of an image, as far as it applies."""


class NotDone(Exception):
    """There is no result; the text is one sentence that says why. code: the exit code."""

    def __init__(self, sentence: str, code: int = JOB_FAILED) -> None:
        super().__init__(sentence)
        self.code: Final = code


@dataclass(frozen=True, slots=True)
class Result:
    """A job that has ended. record: see `bot.api.describing.record`. files: one for each image."""

    record: Mapping[str, Any]
    files: Sequence[Path]


def show(result: Result, say: Say, *, as_json: bool) -> int:
    """Print it; returns the exit code."""
    if as_json:
        print(json.dumps(_as_json(result), ensure_ascii=False, indent=2))
    else:
        _print(result, say)
    return DONE if result.record["status"] == "done" else JOB_FAILED


def placed(sources: Sequence[Path], out: Path | None, job_id: str) -> list[Path]:
    """Each file's path; with `out`, that of a copy there that overwrites no other image."""
    if out is None:
        return list(sources)
    return [write(out, source.name, source.read_bytes(), job_id) for source in sources]


def write(folder: Path, name: str, data: bytes, job_id: str) -> Path:
    """Write an image to `folder`, under another name if a different one has its name already."""
    target = folder.absolute() / name
    if target.exists() and target.read_bytes() != data:
        target = target.with_stem(f"{target.stem}-{job_id}")
    target.write_bytes(data)
    return target


def _as_json(result: Result) -> dict[str, Any]:
    record = result.record
    return {
        **{name: record[name] for name in ("job_id", "status", "seconds")},
        "images": [
            {
                "path": str(path),
                **{name: image[name] for name in _TOLD if image.get(name) is not None},
            }
            for image, path in zip(record["images"], result.files, strict=True)
        ],
        **({"words": words} if (words := record.get("words")) is not None else {}),
        **{name: record[name] for name in ("recipe", "warnings", "error")},
    }


def _print(result: Result, say: Say) -> None:
    record = result.record
    for notice in record["warnings"]:
        print(printable(notice["text"]), file=sys.stderr)
    if record.get("words") is not None:
        print(printable(record["words"]))
    compared = any(image.get("cell") for image in record["images"])
    for image, path in zip(record["images"], result.files, strict=True):
        said = _in_comparison(record, image) if compared else _alone(record, image)
        print(f"{path}  {printable(said)}")
        if not compared and (drawn := _drawn(record, image["seed"])):
            print(f"  {printable(drawn)}")
    if record["error"]:
        print(printable(record["error"]["text"]), file=sys.stderr)
    elif record["status"] == "cancelled":
        print(say("status.cancelled"), file=sys.stderr)


def _in_comparison(record: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    """What is said of the sheet, with how long all took, and of each cell."""
    if values := image.get("cell"):
        return " · ".join(values)
    return f"seed {image['seed']}  {record['seconds']:.1f} s"


def _alone(record: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    """What is said of any other image."""
    seconds = f"{record['seconds'] / len(record['images']):.1f} s"
    request = record["recipe"]["request"] if record["recipe"] else {}
    if request.get("upscale") and not request["model"]:  # no seed has anything to do with it
        return f"upscaler {record['model']}  {image['width']}x{image['height']}  {seconds}"
    variation = image.get("variation")
    seeds = f"seed {image['seed']}" + (f"  variation {variation}" if variation else "")
    return f"model {record['model']}  {seeds}  {seconds}"


def _drawn(record: Mapping[str, Any], seed: int) -> str | None:
    """The prompt of the image with this seed, if it was drawn."""
    data = record["recipe"]["request"] if record["recipe"] else {}
    return GenerationRequest.from_dict(data).of_seed(seed).prompt if "template" in data else None


def printable(text: object) -> str:
    """Without what a terminal would obey: a text may come from another machine."""
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text)
    )
