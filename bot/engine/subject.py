"""Subject: the catalog entry that progress reports and errors are about."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, TypeAlias

from bot.errors import JobFailed, Param
from bot.progress import Progress, Stage
from catalog.disk import fault_of, is_absent, reason_of

SubjectKind: TypeAlias = Literal[
    "model",
    "adapter",
    "embedding",
    "reference",
    "upscaler",
    "control",
    "depth",
    "pose",
    "detector",
    "describer",
    "image_check",
]


def public(path: str) -> str:
    """A catalog entry's `path` without the folders of this machine, to show to users."""
    return PurePath(path).name if path.startswith(("/", "~")) or PurePath(path).drive else path


@dataclass(frozen=True, slots=True)
class Subject:
    """An entry whose files are being found, downloaded, hashed or read, for one job.

    report, check_stop: of that job; see `Engine.paint`.
    """

    kind: SubjectKind
    key: str
    report: Callable[[Progress], None]
    check_stop: Callable[[], None]

    def failed(self, *codes: str, **params: Param) -> JobFailed:
        """An error that names this entry.

        codes: one for each kind of entry that it can happen to, such as "model.missing" and
            "adapter.missing", written in full so that a search finds them. Raises ValueError when
            none is for this kind. Of the image check, people are only told that it does not work.
        """
        if self.kind == "image_check":
            why = codes[0].partition(".")[2]
            return JobFailed("check.unusable", **{**params, "why": why, "image_check": self.key})
        code = next((code for code in codes if code.startswith(f"{self.kind}.")), None)
        if code is None:
            raise ValueError(f"no error of a {self.kind} among {codes}")
        named: dict[str, Param] = {self.kind: self.key}
        return JobFailed(code, **named, **params)

    def unread(self, path: Path, error: OSError) -> JobFailed:
        """An error that says why `path` cannot be read: it is gone, or what the system says."""
        fault = fault_of(error)
        if is_absent(fault):
            return self.failed(
                "model.missing",
                "adapter.missing",
                "embedding.missing",
                "upscaler.missing",
                "reference.missing",
                "control.missing",
                "depth.missing",
                "pose.missing",
                "detector.missing",
                "describer.missing",
                path=public(str(path)),
            )
        return self.failed(
            "model.unreadable",
            "adapter.unreadable",
            "embedding.unreadable",
            "upscaler.unreadable",
            "reference.unreadable",
            "control.unreadable",
            "depth.unreadable",
            "pose.unreadable",
            "detector.unreadable",
            "describer.unreadable",
            reason=reason_of(fault),
        )

    def tick(self, stage: Stage, fraction: float) -> None:
        """Report `fraction` (0.0–1.0) of a stage; raises if the job was stopped."""
        self.check_stop()
        self.report(Progress(stage, subject=self.key, fraction=min(fraction, 1.0)))
