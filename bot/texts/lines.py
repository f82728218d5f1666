"""Lines of text shown both in a terminal and in a chat."""

from typing import Final

from bot.progress import UNLIMITED, Progress, Stage
from bot.request import Axis, Comparison
from bot.texts.language import Say

BAR_CELLS: Final = 20


def status_line(say: Say, progress: Progress) -> str:
    """One line for where the job is, e.g. `Step 12/30 ▰▰▰▱▱ · Image 1 of 2`."""
    match progress.stage:
        case Stage.QUEUED if progress.paused:
            return say("status.paused", position=progress.position)
        case Stage.QUEUED if progress.resumes_at is not None:
            return say("status.quiet", position=progress.position)
        case Stage.QUEUED if progress.no_files:
            return say("status.no_files", position=progress.position)
        case Stage.QUEUED if progress.gpu_away:
            return say("status.gpu_away", position=progress.position)
        case Stage.QUEUED if progress.larger_gpu:
            return say("status.larger_gpu", position=progress.position)
        case Stage.QUEUED if progress.position <= 1:
            return say("status.next")
        case Stage.QUEUED:
            return say("status.queued", position=progress.position)
        case Stage.PAINTING:
            line = say("status.painting", step=progress.step, steps=progress.steps)
            line += " " + bar(progress.step / max(1, progress.steps))
        case Stage.UPSCALING:
            line = say("status.upscaling", step=progress.step, steps=progress.steps)
            line += " " + bar(progress.step / max(1, progress.steps))
        case Stage.DOWNLOADING:
            line = say("status.downloading", subject=progress.subject, percent=_percent(progress))
        case Stage.SENDING:
            line = say("status.sending", percent=_percent(progress))
        case Stage.RECEIVING:
            line = say("status.receiving", percent=_percent(progress))
        case _:
            line = say(f"status.{progress.stage.value}", subject=progress.subject)
    if progress.stage in UNLIMITED:
        line += " " + bar(progress.fraction)
    if progress.part:
        line += " · " + say("status.part", part=progress.part, parts=progress.parts)
    if progress.larger:
        line += " · " + say("status.larger")
    if progress.count > 1:
        line += " · " + say("status.image", image=progress.image, count=progress.count)
    return line


def compared_line(say: Say, comparison: Comparison) -> str:
    """What varies in a comparison, e.g. `steps 10, 20, 30 × LoRA off, on`."""
    return " × ".join(_side(say, axis) for axis in comparison.axes)


def _side(say: Say, axis: Axis) -> str:
    name = say(f"command.compare.axes.{axis.name}")
    of = f" ({axis.subject})" if axis.subject else ""
    return f"{name}{of} {', '.join(axis.values)}"


def _percent(progress: Progress) -> int:
    return int(progress.fraction * 100)


def bar(fraction: float, cells: int = BAR_CELLS) -> str:
    filled = round(max(0.0, min(1.0, fraction)) * cells)
    return "▰" * filled + "▱" * (cells - filled)
