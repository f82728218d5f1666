"""Debts: the turns that people took in advance with a large job."""

from collections.abc import Iterator

from sortedcontainers import SortedList

from bot.queue.policy.jobs import OWED_FOR


class Debts:
    """How many turns each person owes, and since when. They are forgotten after OWED_FOR."""

    def __init__(self) -> None:
        self._owed: dict[str, tuple[int, float]] = {}
        self._since: SortedList[tuple[float, str]] = SortedList()

    def copy(self) -> "Debts":
        other = Debts()
        other._owed = self._owed.copy()
        other._since = self._since.copy()
        return other

    def __len__(self) -> int:
        return len(self._owed)

    def __contains__(self, person: object) -> bool:
        return person in self._owed

    def owe(self, person: str, turns: int, since: float) -> None:
        """`person` owes so many turns now; 0 is none."""
        self.forgive(person)
        if turns:
            self._owed[person] = turns, since
            self._since.add((since, person))

    def pay(self, person: str) -> None:
        """`person` lets one turn pass."""
        turns, since = self._owed[person]
        self.owe(person, turns - 1, since)

    def forgive(self, person: str) -> None:
        if (owed := self._owed.pop(person, None)) is not None:
            self._since.remove((owed[1], person))

    def forgotten(self, now: float) -> Iterator[str]:
        """Who does not owe any more at `now`, each to be forgiven before the next is asked for.

        Those who owe since later than `now` are among them: the clock was set back.
        """
        while self._since and now - self._since[0][0] >= OWED_FOR:
            yield self._since[0][1]
        while self._since and self._since[-1][0] > now:
            yield self._since[-1][1]
