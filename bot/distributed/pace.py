"""Pace: how often the bot and its workers hear of each other, and how long silence is borne."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds. Nobody compares the clocks of two machines: each measures with its own how
    long it has heard nothing new, and keys in the broker expire by the broker's.

    beat: between two signs of life, of a worker, of a job and of whoever waits for it.
    silence: without any, after which a worker counts as lost, and a worker gives up its job.
    refresh: between two reports of a job's progress.
    kept: how long the broker keeps what nobody has fetched.
    """

    beat: float = 2.0
    silence: float = 10.0
    refresh: float = 1.0
    kept: float = 600.0

    @property
    def piece(self) -> float:
        """That one piece of a large value should take. Calls fail after ten times as long."""
        return self.silence / 20

    @property
    def patience(self) -> float:
        """In which a piece has to arrive: after one that failed, there is time for a smaller."""
        return 2 * self.silence

    @property
    def silence_ms(self) -> int:
        return int(self.silence * 1000)

    @property
    def kept_ms(self) -> int:
        return int(self.kept * 1000)
