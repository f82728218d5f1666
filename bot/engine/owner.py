"""Whose files are read: names the entry in progress reports and errors."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from bot.errors import JobFailed, Param
from bot.progress import Progress, Stage


def public(path: str) -> str:
    """`path` of the catalog without the owner's folders: it is shown to people."""
    return PurePath(path).name if path.startswith(("/", "~")) or PurePath(path).drive else path


@dataclass(frozen=True, slots=True)
class Owner:
    """An entry of the catalog whose files are being found, downloaded, hashed or read.

    report, check_stop: of the running job; see `Engine.paint`.
    """

    kind: Literal["model", "adapter", "reference"]
    key: str
    report: Callable[[Progress], None]
    check_stop: Callable[[], None]

    def failed(self, code: str, **params: Param) -> JobFailed:
        """The error `<kind>.<code>` that names this entry."""
        named: dict[str, Param] = {self.kind: self.key}
        return JobFailed(f"{self.kind}.{code}", **named, **params)

    def tick(self, stage: Stage, fraction: float) -> None:
        """Report `fraction` (0.0–1.0) of a stage, and stop if the job was stopped."""
        self.check_stop()
        self.report(Progress(stage, subject=self.key, fraction=min(fraction, 1.0)))
