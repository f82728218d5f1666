"""Many simulated cards under three schedulers: ours, first come first served, and at random.

Discrete events, in simulated seconds: the same seed gives the same figures on every machine.
"""

import heapq
import random
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Protocol

from benchmarks.fleet_day import MTBF, REPAIR, SMALL_CARD, Ask, Card, Shape
from benchmarks.queue import jain
from benchmarks.spread import percentile
from bot.queue.policy import Line, Places, Waiting


class Scheduler(Protocol):
    """Decides which job a free card gets."""

    def add(self, number: int) -> None:
        """The job of that number waits, for the first time or again after its card failed."""

    def free(self, card: int) -> None:
        """The card waits for a job."""

    def gone(self, card: int) -> None:
        """The card failed, whether it waited or not."""

    def next(self, now: float) -> tuple[int, int] | None:
        """The next job and its card; None if no card that waits is able to run one."""


def fits(ask: Ask, card: Card) -> bool:
    return not ask.large or card.memory > SMALL_CARD


class Ours:
    """The bot's policy. among: for how many cards it decides; all of them by default."""

    def __init__(
        self, asks: Sequence[Ask], cards: Sequence[Card], among: int | None = None
    ) -> None:
        self._asks, self._cards = asks, cards
        self._among = len(cards) if among is None else among
        self._line, self._places = Line(), Places()
        self._mixed = len({card.memory for card in cards}) > 1

    def add(self, number: int) -> None:
        ask = self._asks[number]
        above = SMALL_CARD if ask.large else 0
        self._line.add(
            Waiting(str(number), f"{ask.user}", number, ask.model, ask.adapters, memory_above=above)
        )

    def free(self, card: int) -> None:
        self._places.put(card, self._cards[card].here)

    def gone(self, card: int) -> None:
        self._places.drop(card)

    def next(self, now: float) -> tuple[int, int] | None:
        able = self._able if self._mixed else None
        choice = self._line.choose(self._places, now, able=able, among=self._among)
        while self._line.put_off:
            choice = self._line.choose(self._places, now, able=able, among=self._among)
        if choice is None:
            return None
        self._line.take(choice, now)
        self._places.drop(choice.lane)
        return int(choice.job.id), choice.lane

    def _able(self, job: Waiting, card: int) -> bool:
        return self._cards[card].memory > job.memory_above


class InOrder:
    """First come, first served, by the first card that is free and large enough."""

    def __init__(self, asks: Sequence[Ask], cards: Sequence[Card]) -> None:
        self._asks, self._cards = asks, cards
        self._waiting: tuple[list[int], list[int]] = ([], [])  # by whether they are large
        self._free: tuple[list[int], list[int]] = ([], [])  # by whether they are large
        self._gone: set[int] = set()

    def add(self, number: int) -> None:
        heapq.heappush(self._waiting[self._asks[number].large], number)

    def free(self, card: int) -> None:
        self._gone.discard(card)
        heapq.heappush(self._free[self._cards[card].memory > SMALL_CARD], card)

    def gone(self, card: int) -> None:
        self._gone.add(card)

    def next(self, now: float) -> tuple[int, int] | None:
        for cards in self._free:
            while cards and cards[0] in self._gone:
                heapq.heappop(cards)
        small, large = self._waiting
        first = [jobs for jobs in (small, large) if jobs]
        for jobs in sorted(first, key=lambda jobs: jobs[0]):
            for cards in self._free[1:] if jobs is large else self._free:
                if cards:
                    return heapq.heappop(jobs), heapq.heappop(cards)
        return None


class AtRandom:
    """Each job waits for a card drawn when it comes, in a line of that card's own."""

    def __init__(self, asks: Sequence[Ask], cards: Sequence[Card]) -> None:
        self._asks, self._cards = asks, cards
        self._chance = random.Random(7)
        self._lines: defaultdict[int, deque[int]] = defaultdict(deque)
        self._free: set[int] = set()
        self._ready: deque[int] = deque()  # cards that may have both

    def add(self, number: int) -> None:
        while True:
            card = self._chance.randrange(len(self._cards))
            if fits(self._asks[number], self._cards[card]):
                break
        self._lines[card].append(number)
        self._ready.append(card)

    def free(self, card: int) -> None:
        self._free.add(card)
        self._ready.append(card)

    def gone(self, card: int) -> None:
        self._free.discard(card)

    def next(self, now: float) -> tuple[int, int] | None:
        while self._ready:
            card = self._ready.popleft()
            if card in self._free and self._lines[card]:
                self._free.discard(card)
                return self._lines[card].popleft(), card
        return None


Make = Callable[[Sequence[Ask], Sequence[Card]], Scheduler]
SCHEDULERS: dict[str, Make] = {
    "ours": Ours,
    "in order": InOrder,
    "at random": AtRandom,
}


@dataclass(slots=True)
class Outcome:
    """waits: user → seconds until each of their jobs started. served: user → seconds of work, and
    from asking to the image, over all of their jobs.

    busy, held: seconds that cards worked, and were there. failures: of cards. waiting: the most
    jobs that waited at once.
    """

    waits: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    served: dict[int, list[float]] = field(default_factory=dict)
    switches: int = 0
    busy: float = 0.0
    held: float = 0.0
    failures: int = 0
    waiting: int = 0

    def by_user(self, share: float) -> float:
        """A percentile of how long users wait on average, in seconds."""
        return percentile([fmean(waits) for waits in self.waits.values()], share)

    @property
    def fairness(self) -> float:
        """Jain index over what part of the time from asking to the image each user was served."""
        return jain([worked / whole for worked, whole in self.served.values()])

    @property
    def used(self) -> float:
        return self.busy / self.held


def near(asks: Sequence[Ask], cards: Sequence[Card]) -> Scheduler:
    """The bot's policy if it looked no further for many cards than for one."""
    return Ours(asks, cards, among=1)


def simulate(shape: Shape, asks: Sequence[Ask], scheduler: Make, seed: int = 1) -> Outcome:
    """Serve all of `asks`. seed: of the failures."""
    return _Fleet(shape, asks, scheduler, seed).run()


ASKED, DONE, FAILS, BACK = range(4)


class _Fleet:
    def __init__(self, shape: Shape, asks: Sequence[Ask], scheduler: Make, seed: int) -> None:
        self._asks = asks
        self._cards = [Card(number) for number in range(shape.cards)]
        self._scheduler: Scheduler = scheduler(asks, self._cards)
        self._running: dict[int, tuple[int, float, float]] = {}  # card: job, since, seconds
        self._chance = random.Random(seed)
        self._left = len(asks)
        self._waiting = 0
        self._starts: dict[int, float] = {}
        self._outcome = Outcome()
        self._events: list[tuple[float, int, int]] = []
        for card in range(shape.cards):
            self._scheduler.free(card)
            self._fails_after(0.0, card)

    def run(self) -> Outcome:
        now, coming = 0.0, 0
        while self._left:
            if coming < len(self._asks) and self._asks[coming].at <= self._events[0][0]:
                now, kind, what = self._asks[coming].at, ASKED, coming
                coming += 1
            else:
                now, kind, what = heapq.heappop(self._events)
            self._happens(now, kind, what)
            while (found := self._scheduler.next(now)) is not None:
                self._start(now, *found)
        outcome = self._outcome
        outcome.held = now * len(self._cards)
        outcome.switches = sum(card.switches for card in self._cards)
        return outcome

    def _happens(self, now: float, kind: int, what: int) -> None:
        if kind == ASKED:
            self._waits(what)
        elif kind == DONE:
            running = self._running.get(what)
            if running is not None and running[1] + running[2] == now:
                self._end(now, what)
                self._scheduler.free(what)
        elif kind == FAILS:
            self._outcome.failures += 1
            self._scheduler.gone(what)
            self._cards[what].restart()
            if (running := self._running.pop(what, None)) is not None:
                self._outcome.busy += now - running[1]
                self._waits(running[0])
            heapq.heappush(self._events, (now + REPAIR, BACK, what))
        else:
            self._scheduler.free(what)
            self._fails_after(now, what)

    def _waits(self, job: int) -> None:
        self._waiting += 1
        self._outcome.waiting = max(self._outcome.waiting, self._waiting)
        self._scheduler.add(job)

    def _start(self, now: float, job: int, card: int) -> None:
        self._waiting -= 1
        seconds = self._cards[card].run(self._asks[job])
        self._running[card] = job, now, seconds
        self._starts[job] = now
        heapq.heappush(self._events, (now + seconds, DONE, card))

    def _end(self, now: float, card: int) -> None:
        job, since, seconds = self._running.pop(card)
        ask = self._asks[job]
        self._left -= 1
        self._outcome.busy += seconds
        self._outcome.waits[ask.user].append(since - ask.at)
        served = self._outcome.served.setdefault(ask.user, [0.0, 0.0])
        served[0] += seconds
        served[1] += now - ask.at

    def _fails_after(self, now: float, card: int) -> None:
        at = now + self._chance.expovariate(1 / MTBF)
        heapq.heappush(self._events, (at, FAILS, card))
