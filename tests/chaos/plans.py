"""What is to happen in a chaos, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """What is to happen. storm: how many of all requests fail at random.

    forgetful: nonces prevent no duplicates, as after a long absence; and half of the messages are
        deleted once their interaction has expired, so that the results need new messages.
    starting: the most seconds from its start to a kill before it is online.
    working: the most seconds from being online to a kill at work.
    settings: people and the server's manager change settings meanwhile, none of which refuses jobs.
    steps: of each image.
    away: how long a worker or the broker may stay away once it was killed, in times of SILENCE.
    """

    seed: int
    jobs: int
    kills: int
    storm: float = 0.0
    forgetful: bool = False
    users: int = 7
    starting: float = 0.4
    working: float = 0.4
    settings: bool = False
    steps: int = 4
    away: tuple[float, ...] = (0.0, 0.25, 1.5)


@dataclass
class Tally:
    """What became of the jobs. unstored: acknowledged but not in the store. again: attempts at jobs
    after the first. compared: images whose pixels were looked at.
    """

    stored: int = 0
    delivered: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unstored: int = 0
    again: int = 0
    compared: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        how = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items()))
        return (
            f"{self.stored} jobs, {self.kills.total()} kills ({how}): {self.delivered} delivered, "
            f"{len(self.lost) + self.unstored} lost, {len(self.doubled)} doubled"
            f" ({self.again} attempts more than jobs, pixels of {self.compared} compared)"
        )

    @property
    def perfect(self) -> bool:
        return not (self.lost or self.doubled or self.unstored or self.violations)
