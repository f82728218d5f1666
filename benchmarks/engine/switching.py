"""Switching to a model that is in RAM."""

import statistics
from functools import partial
from itertools import cycle
from typing import Any

from benchmarks.bench_model import KEYS, Bench
from benchmarks.side_by_side import Line, alternate, of_pair, seconds, tidy


def switch(bench: Bench, repeat: int) -> list[Line]:
    """Time switching back and forth between two models, until the next step could begin."""
    turns = {program: cycle(reversed(KEYS)) for program in ("ours", "plain")}

    def ours() -> None:
        before = _digests(bench)
        bench.paint(bench.fresh(model=next(turns["ours"]), steps=1, width=64, height=64))
        kept = before.items() & _digests(bench).items()
        if kept:
            raise RuntimeError(f"not switched: {', '.join(sorted(dict(kept)))}")

    def plain() -> None:
        held.clear()
        tidy()
        held.append(bench.plain(next(turns["plain"])))
        bench.paint_plain(held[0], bench.fresh(steps=1, width=64, height=64))

    held: list[Any] = []
    alone = alternate(
        lambda: bench.paint(bench.fresh(steps=1, width=64, height=64, model=KEYS[0])),
        lambda: None,
        repeat,
    )
    pair = alternate(ours, plain, repeat)
    held.clear()
    tidy()
    copies = [seconds(partial(_copy_again, bench)) for _ in range(repeat + 1)]
    floor = statistics.median(copies[1:])
    picture = alone.seconds[0]
    return [
        of_pair(
            "switch to the other model, with one step and a picture of 64×64",
            pair,
            most=0.1 if bench.device == "cuda" else None,
            goal="≤ 0.1×",
        ),
        Line(
            "of which: one step and its picture; copying all weights once",
            f"{picture:.2f} s; {floor:.2f} s",
            "–",
            "",
            "switch ≤ 0.5 s and ≤ 2× the copy",
            (pair.seconds[0] - picture <= min(0.5, 2 * floor)) if bench.device == "cuda" else None,
        ),
    ]


def _digests(bench: Bench) -> dict[str, str]:
    """The resident model's key and the digest of each of its networks."""
    parts = {name: part.digest for name, part in bench.resident.parts.items()}
    return {"model": bench.resident.key, **parts}


def _copy_again(bench: Bench) -> None:
    """Copy all weights of the resident model from RAM into its buffers on the device."""
    for part in bench.resident.parts.values():
        part._filled = None
        part.wake(lambda: None)
