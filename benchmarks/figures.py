"""The table of how quickly the bot answers, for docs/figures.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.first_start import Reading
from benchmarks.lag import Lags
from benchmarks.presses import Presses
from benchmarks.spread import Spread

START_GOAL = 2.0
ANSWER_GOAL = 100.0
STALL_GOAL = 50.0


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the process's start until online and until the first answer.

    torch: whether it was loaded by then; None where the system does not tell.
    """

    online: float
    answered: float
    autocomplete_ms: float
    torch: bool | None


@dataclass(frozen=True, slots=True)
class Starts:
    """Medians of several starts with a catalog of `entries` LoRAs. torch: loaded in any of them."""

    entries: int
    online: float
    answered: float
    autocomplete_ms: float
    torch: bool | None


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of one bot with a catalog of `entries` LoRAs; those not named `idle_` while generating.

    own_stall_ms: how late the measuring process itself was at worst. pictures: jobs that finished
    meanwhile. slowest: the slowest autocompletes: milliseconds, and what was typed.
    """

    entries: int
    idle_ack: Spread
    ack: Spread
    idle_autocomplete: Spread
    autocomplete: Spread
    presses: Presses
    own_stall_ms: float
    pictures: int
    slowest: list[tuple[float, str]]

    @property
    def queued(self) -> int:
        """Jobs that the measured calls have added."""
        return self.ack.count + self.presses.same.count


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; met is None where there is no goal, or nothing was measured."""

    what: str
    measured: str
    goal: str
    compared: str
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run."""

    machine: str
    load_average: float | None
    threads: str
    rate: float
    start: Starts
    small_start: Starts
    bare_start: Starts
    first_start: Starts
    reading: Reading
    latencies: Latencies
    small_latencies: Latencies
    lags: Lags

    def rows(self) -> Iterator[Row]:
        """The table, line by line."""
        yield from self._starting()
        yield from self._answering()
        yield from self._looping()

    def _starting(self) -> Iterator[Row]:
        start, small, bare = self.start, self.small_start, self.bare_start
        yield Row(
            f"Process start to first command answered, {start.entries:,} LoRA files known from an"
            " earlier start",
            f"{start.answered:.2f} s",
            f"≤ {START_GOAL:g} s",
            f"{start.answered / bare.answered:.1f} × an empty discord.py bot"
            f" ({bare.answered:.2f} s)",
            start.answered <= START_GOAL,
        )
        yield Row(
            f"… with {small.entries} LoRAs",
            f"{small.answered:.2f} s",
            f"≤ {START_GOAL:g} s",
            f"{small.answered / bare.answered:.1f} × the empty bot",
            small.answered <= START_GOAL,
        )
        first, reading = self.first_start, self.reading
        yield Row(
            f"… with {first.entries:,} LoRA files not known yet",
            f"{first.answered:.2f} s",
            f"≤ {START_GOAL:g} s",
            f"{first.answered / bare.answered:.1f} × the empty bot",
            first.answered <= START_GOAL,
        )
        yield Row(
            f"Longest stall of the event loop while {reading.files:,} files are read in the"
            f" background, in {reading.lag.seconds:.0f} s",
            f"{reading.lag.max:.1f} ms",
            f"≤ {STALL_GOAL:g} ms",
            f"{reading.lag.max / reading.idle.max:.1f} × an idle loop ({reading.idle.max:.1f} ms);"
            f" {reading.cpu:.1f} s of CPU in the bot, {reading.cpu_of_reader:.1f} s in the process"
            " that reads",
            reading.lag.max <= STALL_GOAL,
        )
        torch = {None: "not measured here", True: "yes", False: "no"}[start.torch]
        yield Row("… torch is already imported by then", torch, "no", "", _not(start.torch))
        yield Row(
            "First autocomplete after that",
            f"{start.autocomplete_ms:.1f} ms",
            f"≤ {ANSWER_GOAL:g} ms",
            f"{start.autocomplete_ms / small.autocomplete_ms:.1f} × with {small.entries} LoRAs",
            start.autocomplete_ms <= ANSWER_GOAL,
        )

    def _answering(self) -> Iterator[Row]:
        many, few = self.latencies, self.small_latencies
        goal = f"p99 ≤ {ANSWER_GOAL:g} ms"
        yield Row(
            f"`/imagine` acknowledged while generating, p50 / p99 / max of {many.ack.count}",
            str(many.ack),
            goal,
            f"p99 {many.ack.p99 / many.idle_ack.p99:.1f} × idle ({many.idle_ack.p99:.1f} ms)",
            many.ack.p99 <= ANSWER_GOAL,
        )
        auto, small = many.autocomplete, few.autocomplete
        yield Row(
            f"Autocomplete over {many.entries:,} LoRAs while generating,"
            f" p50 / p99 / max of {auto.count}",
            str(auto),
            goal,
            f"p99 {auto.p99 / many.idle_autocomplete.p99:.1f} × idle"
            f" ({many.idle_autocomplete.p99:.1f} ms),"
            f" {auto.p99 / small.p99:.1f} × with {few.entries} LoRAs ({small.p99:.1f} ms)",
            auto.p99 <= ANSWER_GOAL,
        )
        presses = many.presses
        for button, spread in (
            ("🔁 Same seed below a result acknowledged", presses.same),
            ("… ✏️ Edit opens its form", presses.edit),
            ("… ➕ More answered", presses.more),
            ("… ℹ️ Details acknowledged", presses.details),
        ):
            yield Row(
                f"{button} while generating, p50 / p99 / max of {spread.count}",
                str(spread),
                goal,
                f"p99 {spread.p99 / many.ack.p99:.1f} × `/imagine` while generating"
                f" ({many.ack.p99:.1f} ms)",
                spread.p99 <= ANSWER_GOAL,
            )

    def _looping(self) -> Iterator[Row]:
        lags = self.lags
        idle = lags.idle.max

        def row(what: str, longest: float) -> Row:
            return Row(
                what,
                f"{longest:.1f} ms",
                f"≤ {STALL_GOAL:g} ms",
                f"{longest / idle:.1f} × an idle loop ({idle:.1f} ms)",
                longest <= STALL_GOAL,
            )

        yield row(
            f"Longest stall of the event loop while generating, in {lags.painting.seconds:.0f} s",
            lags.painting.max,
        )
        yield row("… during the first image, while the model is loaded", lags.first_job.max)
        yield row(
            f"… while a changed catalog of {self.start.entries:,} LoRAs is reloaded",
            lags.rereading.max,
        )
        yield row("… during the one-off import of torch, once online", lags.importing.max)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def table(report: Report) -> str:
    """The table in Markdown, and what it was measured on."""
    lines = ["| | measured | goal | compared with |", "|---|---|---|---|"]
    for row in report.rows():
        missed = " **(missed)**" if row.met is False else ""
        lines.append(f"| {row.what} | {row.measured}{missed} | {row.goal} | {row.compared} |")
    load = "" if report.load_average is None else f" Load before: {report.load_average:.2f}."
    lines += [
        "",
        f"Measured on {report.machine}.{load} The bot generates with its demo model on the CPU"
        f" (OMP_NUM_THREADS={report.threads}) and talks to `playground/` on the same machine;"
        f" {report.rate:g} calls a second, every `/imagine` and 🔁 is accepted,"
        f" so {report.latencies.queued} more jobs are waiting at the end; images finished"
        f" meanwhile: {report.latencies.pictures}. The measuring process itself was at most"
        f" {report.latencies.own_stall_ms:.0f} ms late, which is included in these figures.",
    ]
    return "\n".join(lines) + "\n"
