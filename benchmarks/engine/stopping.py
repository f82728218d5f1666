"""How soon a cancelled job stops."""

from contextlib import suppress

from benchmarks.bench_model import Bench
from benchmarks.side_by_side import Line
from bot.errors import PaintStopped, StopReason
from bot.progress import Progress


def cancelled(bench: Bench) -> Line:
    """Count the UNet evaluations begun after a cancellation between two of the first steps."""
    late, begun = [], [0]

    def count(*_: object) -> None:
        begun[0] += 1

    hook = bench.resident.denoiser.register_forward_pre_hook(count)
    for at in range(1, 4):
        before: list[int] = []

        def report(progress: Progress, at: int = at, before: list[int] = before) -> None:
            if progress.step == at and not before:
                before.append(begun[0])

        def check(before: list[int] = before) -> None:
            if before:
                raise PaintStopped(StopReason.CANCELLED)

        with suppress(PaintStopped):
            bench.engine.paint(bench.order(bench.request(steps=6)), report, check)
        late.append(begun[0] - before[0])
    hook.remove()
    most = max(late)
    what = "steps begun after a cancellation"
    return Line(what, str(most), "–", "", "≤ 1", most <= 1, must=True)
