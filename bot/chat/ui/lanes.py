"""The lanes as people see them: what each GPU does."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.chat.ui.markdown import one_line
from bot.queue import Lane, LaneState
from bot.texts.language import Say

NAME_SHOWN = 40


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane. model: the key of the one that it holds; None if it holds none, or if its name may
    not be shown. job: the ID of the job that it generates, or None."""

    name: str
    device: str
    state: LaneState
    model: str | None = None
    job: str | None = None

    @classmethod
    def of(cls, lane: Lane, model: str | None = None) -> "LaneView":
        """model: what may be shown of what it holds."""
        job = None if lane.running is None else lane.running.id
        return cls(lane.name, lane.device, lane.state, model, job)

    @property
    def label(self) -> str:
        """Its name, with its device if the name does not say it."""
        return self.name if self.device == "auto" else f"{self.name} ({self.device})"


def lane_lines(say: Say, lanes: Sequence[LaneView], most: int) -> list[str]:
    """One line for each of the first `most` lanes, and how many more there are."""
    lines = []
    for lane in lanes[:most]:
        mark = "▶️" if lane.job else "💤"
        parts = [f"{mark} {one_line(lane.name, NAME_SHOWN)}"]
        if lane.state is not LaneState.READY:
            parts.append(say(f"line.lane.{lane.state.value}"))
        if lane.model:
            parts.append(one_line(lane.model, NAME_SHOWN))
        lines.append(" · ".join(parts))
    if len(lanes) > most:
        lines.append(say("line.more", count=len(lanes) - most))
    return lines
