"""Simulate a day of jobs in the bot's order, and in plain first-come-first-served order.

`python -m benchmarks.queue` generates the day (see benchmarks/queue_day.py), runs it through the
bot's own policy and forecast and through a plain queue, and prints both and their ratio. No clock
is involved, so the figures are the same on every machine. `--quick` is a small day; `--write` puts
the table into docs/figures.md. `--database FILE` replays the bot's own history
(data/imagen.sqlite3) instead and prints how good each job's estimate, learned from the jobs before
it, would have been.

A user's waiting time is the mean over their jobs. The Jain index is taken over each user's share of
what a fair division would have given them in every ten minutes: 1 is fair; 1/users means that one
user got everything.
"""

import argparse
import asyncio
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

from benchmarks.page import FIGURES, write_into
from benchmarks.queue_day import DAY, QUICK, Ask, Shape, draw, seconds
from benchmarks.spread import percentile
from bot.queue.estimate import Estimator, Sample, needs
from bot.queue.forecast import Forecast
from bot.queue.lanes import Lane
from bot.queue.policy import InPlace, Line, Waiting
from bot.store import Discord, Job, JobState, Painted, Store

WINDOW = 600.0
GOAL = 0.2


@dataclass(slots=True)
class Outcome:
    """The result of one order.

    waits: user → seconds until each of their jobs started. spans: start and end of each job.
    said: relative errors of the time until ready that was announced when a job was accepted.
    foreseen: relative errors of the duration that was estimated when a job started.
    """

    switches: int = 0
    waits: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    spans: list[tuple[Ask, float, float]] = field(default_factory=list)
    said: list[float] = field(default_factory=list)
    foreseen: list[float] = field(default_factory=list)

    def note(self, ask: Ask, here: InPlace, start: float, end: float) -> None:
        self.switches += here.model != ask.request.model
        self.waits[ask.user].append(start - ask.at)
        self.spans.append((ask, start, end))

    def by_user(self) -> list[float]:
        return [fmean(waits) for waits in self.waits.values()]


def in_order(asks: Sequence[Ask]) -> Outcome:
    """First come, first served."""
    outcome, here, now = Outcome(), InPlace(), 0.0
    for ask in asks:
        start = max(now, ask.at)
        now = start + seconds(ask, here)
        outcome.note(ask, here, start, now)
        here = needs(ask.request)
    return outcome


def fairly(asks: Sequence[Ask]) -> Outcome:
    """In the bot's order."""
    return _Bot(asks).run()


class _Bot:
    """The bot's policy and forecast, on a simulated clock."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        self.outcome = Outcome()
        self._asks = asks
        self._coming = deque(range(len(asks)))
        self._line, self._forecast = Line(), Forecast()
        self._lane = Lane()
        self._promised: dict[str, float] = {}

    def run(self) -> Outcome:
        now = 0.0
        while self._coming or len(self._line):
            if not len(self._line):
                now = max(now, self._asks[self._coming[0]].at)
            self._let_in(now)
            now = self._paint(now)
        return self.outcome

    def _let_in(self, until: float) -> None:
        """Queue the jobs requested by then, and note when each is announced to be ready."""
        while self._coming and self._asks[self._coming[0]].at <= until:
            number = self._coming.popleft()
            ask = self._asks[number]
            job = _job(number, ask)
            wanted = self._forecast.expect(job)
            self._line.add(
                Waiting(job.id, str(ask.user), number, ask.request.model, wanted.adapters)
            )
            places = dict(
                self._forecast.places(self._line.copy(), [self._lane], ask.at, paused=False)
            )
            if (ready_at := places[job.id].ready_at) is not None:
                self._promised[job.id] = ready_at

    def _paint(self, start: float) -> float:
        """Run the next job while others arrive; returns when it is ready."""
        choice = self._line.choose([self._lane.last], start)
        assert choice is not None
        self._line.take(choice, start)
        ask = self._asks[int(choice.job.id)]
        job, before = self._forecast.jobs[choice.job.id], self._lane.last
        self._forecast.begin(job, before, start)
        foreseen = self._forecast.seconds(job, before)
        taken = seconds(ask, before)
        end = start + taken
        self._lane.last, self._lane.running = choice.job.needs, job
        self._let_in(end)
        self._forecast.learn(replace(job, started_at=0, painted_at=round(taken * 1000)))
        self._forecast.forget(job.id)
        self._lane.running = None
        self.outcome.note(ask, before, start, end)
        if foreseen is not None:
            self.outcome.foreseen.append(abs(foreseen / taken - 1))
        if job.id in self._promised:
            said = self._promised[job.id] - ask.at
            self.outcome.said.append(abs(said / (end - ask.at) - 1))
        return end


def _job(number: int, ask: Ask) -> Job:
    origin = Discord(user_id=ask.user, guild_id=1)
    return Job(
        id=str(number),
        origin=origin,
        kind="imagine",
        state=JobState.PENDING,
        attempt=0,
        crashes=0,
        parent_id=None,
        request=ask.request,
        person=origin.person,
        community=origin.community,
        created_at=round(ask.at * 1000),
        started_at=None,
        finished_at=None,
        delivered_at=None,
        error=None,
        recipe=None,
        warnings=(),
    )


def jain(values: Sequence[float]) -> float:
    """Jain's index (DEC-TR-301): 1 when all are equal, 1/n when one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def fair_shares(wanted: Sequence[float], room: float) -> list[float]:
    """Max-min fairness: everyone gets what they want, or the same as all others who want more."""
    shares = [0.0] * len(wanted)
    open_ones = sorted(range(len(wanted)), key=lambda n: wanted[n])
    for done, n in enumerate(open_ones):
        shares[n] = min(wanted[n], room / (len(wanted) - done))
        room -= shares[n]
    return shares


def division(outcome: Outcome) -> float:
    """Jain index over the users' shares of what was due to them."""
    windows: dict[int, dict[int, list[float]]] = defaultdict(
        lambda: defaultdict(lambda: [0.0, 0.0])
    )
    for ask, start, end in outcome.spans:
        for window in range(int(ask.at // WINDOW), int(end // WINDOW) + 1):
            opens, closes = window * WINDOW, (window + 1) * WINDOW
            got = max(0.0, min(end, closes) - max(start, opens))
            # The part of the job that was left when the window opened could have run in it.
            left = end - max(start, opens)
            entry = windows[window].setdefault(ask.user, [0.0, 0.0])
            entry[0] += got
            entry[1] += min(left, WINDOW)
    got_in_all: dict[int, float] = defaultdict(float)
    due_in_all: dict[int, float] = defaultdict(float)
    for users in windows.values():
        shares = fair_shares(
            [wanted for _, wanted in users.values()], sum(got for got, _ in users.values())
        )
        for (user, (got, _)), due in zip(users.items(), shares, strict=True):
            got_in_all[user] += min(got, due)
            due_in_all[user] += due
    return jain([got_in_all[user] / due for user, due in due_in_all.items() if due])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. goal: for `ours`. met: None where there is no goal."""

    what: str
    ours: float
    plain: float | None = None
    unit: str = " s"
    digits: int = 0
    goal: str = ""
    met: bool | None = None


def rows(ours: Outcome, plain: Outcome) -> list[Row]:
    """All figures."""
    waits, plain_waits = ours.by_user(), plain.by_user()
    light, plain_light = _light(ours), _light(plain)
    said, foreseen = median(ours.said), median(ours.foreseen)
    return [
        Row("the GPU is busy", _busy(ours) / 3600, _busy(plain) / 3600, " h", 1),
        Row("model switches", ours.switches, plain.switches, ""),
        *(
            Row(
                f"a user's waiting time, {name}",
                percentile(waits, share),
                percentile(plain_waits, share),
            )
            for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
        ),
        Row("… of the half who ask for the least, p50", median(light), median(plain_light)),
        Row("longest wait of a single job", _longest(ours), _longest(plain)),
        Row("Jain index of fairness", division(ours), division(plain), "", 3),
        Row(
            "error of a job's estimated duration, p50",
            100 * foreseen,
            unit=" %",
            digits=1,
            goal=f"≤ {GOAL:.0%}",
            met=foreseen <= GOAL,
        ),
        Row(
            "error of the time shown when a job is accepted, p50",
            100 * said,
            unit=" %",
            digits=1,
            goal=f"≤ {GOAL:.0%}",
            met=said <= GOAL,
        ),
    ]


def _busy(outcome: Outcome) -> float:
    return sum(end - start for _, start, end in outcome.spans)


def _light(outcome: Outcome) -> list[float]:
    """Mean waiting times of the half of the users who ask for the least."""
    users = sorted(outcome.waits.values(), key=len)
    return [fmean(waits) for waits in users[: max(1, len(users) // 2)]]


def _longest(outcome: Outcome) -> float:
    return max(wait for waits in outcome.waits.values() for wait in waits)


def table(lines: Iterable[Row]) -> str:
    """In Markdown."""
    text = ["| | ours | first come, first served | ratio | goal |", "|---|---|---|---|---|"]
    for line in lines:
        ours = f"{line.ours:,.{line.digits}f}{line.unit}"
        plain = "–" if line.plain is None else f"{line.plain:,.{line.digits}f}{line.unit}"
        ratio = f"{line.ours / line.plain:.2f}×" if line.plain else "–"
        missed = " **(missed)**" if line.met is False else ""
        text.append(f"| {line.what} | {ours}{missed} | {plain} | {ratio} | {line.goal or '–'} |")
    return "\n".join(text)


def replayed(history: Sequence[Painted]) -> list[float]:
    """Relative errors of each job's estimated seconds, learned from the jobs before it."""
    estimator, before, errors = Estimator(), None, []
    for painted in history:
        if before is not None:
            expected = estimator.seconds(painted.request, before)
            if expected is not None:
                errors.append(abs(expected / painted.seconds - 1))
        estimator.learn(Sample(painted.request, painted.seconds, before))
        before = needs(painted.request)
    return errors


async def replay(database: Path) -> int:
    """Print how good the estimates for a bot's own history would have been."""
    async with Store.open(database) as store:
        errors = replayed(await store.painted(("discord",)))
    if not errors:
        print(f"{database}: too few finished jobs to learn from", file=sys.stderr)
        return 1
    print(f"{len(errors)} jobs: error of the estimate {median(errors):.1%} (p50),")
    print(f"{percentile(errors, 0.9):.1%} (p90)")
    return 0 if median(errors) <= GOAL else 1


def report(shape: Shape, seed: int) -> tuple[str, bool]:
    """The table with a description of the day, and whether the goals were met."""
    asks = draw(shape, seed)
    lines = rows(fairly(asks), in_order(asks))
    about = (
        f"{len(asks):,} jobs of {len({ask.user for ask in asks})} users over"
        f" {len({ask.request.model for ask in asks})} models in"
        f" {shape.seconds / 3600:.1f} hours, seed {seed}; simulated, so it is the same on every"
        " machine."
    )
    return f"{table(lines)}\n\n{about}", all(line.met is not False for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small day")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", type=Path, metavar="FILE", help="replay a bot's history")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args(arguments)
    if options.database is not None:
        return asyncio.run(replay(options.database))
    text, met = report(QUICK if options.quick else DAY, options.seed)
    print(text)
    if options.write:
        write_into(FIGURES, "queue", text)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
