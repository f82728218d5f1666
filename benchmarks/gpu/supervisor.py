"""Run rows in a process of their own, and go on in another when it hangs or dies.

A row that waits in a CUDA call cannot be interrupted from within its process. So the process is
killed, and the rows that are left run in the next one. Does not import torch.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from benchmarks.gpu.row import DIED, DONE, FAILED, NO_TIME, OVERDUE, SKIPPED, Outcome, Row

STARTING: Final = 120.0
"""Seconds for a process to import the libraries, write the models and load one."""
STARTS_MAX: Final = 3
"""Attempts to start the shared process, should it end before its first row."""

Command = Callable[[Sequence[str]], Sequence[str]]


class Supervisor:
    """Runs every row once; `outcomes` are those so far, by name, and `facts` the worker's.

    command: of a worker for the rows of these names. changed: called after every row.
    budget: seconds for everything. starting: see STARTING. patience: factor of the rows' deadlines.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        command: Command,
        changed: Callable[["Supervisor"], None],
        *,
        budget: float,
        starting: float = STARTING,
        patience: float = 1.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.rows = rows
        self.outcomes: dict[str, Outcome] = {}
        self.facts: dict[str, Any] = {}
        self._command = command
        self._changed = changed
        self._until = time.monotonic() + budget
        # Rows with a process of their own come last, and are not to pay for slow ones.
        kept = sum(row.planned for row in rows if row.own_process)
        self._shared_until = self._until - min(kept, budget / 2)
        self._starting = starting
        self._patience = patience
        self._environment = environment

    def run(self) -> None:
        """Run them: those that share a process first, then each of the others in its own."""
        left = [row for row in self.rows if not row.own_process]
        starts = 0
        while left and starts < STARTS_MAX and not _over(self._shared_until):
            begun = self._worker(left, self._shared_until)
            starts = 0 if begun else starts + 1
            left = [row for row in left if row.name not in self.outcomes]
        for row in self.rows:
            if row.own_process and not _over(self._until):
                self._worker([row], self._until)
            if row.name not in self.outcomes and (row.own_process or not left):
                self._end(row.name, Outcome(NO_TIME))
        for row in left:
            state = FAILED if starts == STARTS_MAX else NO_TIME
            self._end(row.name, Outcome(state, said="" if state == NO_TIME else self._why))

    _why = ""

    def _worker(self, rows: Sequence[Row], until: float) -> bool:
        """Run `rows` in one process until it ends or is ended; returns whether a row began.

        until: time.monotonic() at which it is ended.
        """
        process = subprocess.Popen(
            self._command([row.name for row in rows]),
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env=self._environment,
        )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            return self._follow(process, lines, {row.name: row for row in rows}, until)
        finally:
            _end(process)
            reader.join()

    def _follow(
        self,
        process: "subprocess.Popen[str]",
        lines: "queue.SimpleQueue[str | None]",
        rows: Mapping[str, Row],
        until: float,
    ) -> bool:
        began, deadline = time.monotonic(), self._starting
        current: str | None = None
        outcome, any_begun = Outcome(DONE), False
        while True:
            ends = min(began + deadline, until)
            try:
                line = lines.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                waited = time.monotonic() - began
                late = Outcome(OVERDUE, waited, f"after {waited:.0f} s", outcome.figures)
                self._stopped(current, rows, late)
                return any_begun
            if line is None:
                code = process.wait()
                if current is not None or code or not any_begun:
                    said = f"signal {-code}" if code < 0 else f"exit code {code}"
                    waited = time.monotonic() - began
                    self._stopped(current, rows, Outcome(DIED, waited, said, outcome.figures))
                return any_begun
            told = json.loads(line)
            match told["event"]:
                case "ready":
                    self.facts |= told["facts"]
                    began, deadline = time.monotonic(), self._starting
                case "begin":
                    current, any_begun, outcome = told["row"], True, Outcome(DONE)
                    began = time.monotonic()
                    deadline = self._patience * rows[told["row"]].deadline
                case "figure":
                    outcome.figures.append(told["figure"])
                case state:
                    outcome.state = {"done": DONE, "failed": FAILED, "skipped": SKIPPED}[state]
                    outcome.said = told.get("said", "")
                    outcome.seconds = time.monotonic() - began
                    self._end(told["row"], outcome)
                    current = None
                    # Time to tidy up, until the next row begins.
                    began, deadline = time.monotonic(), self._starting

    def _stopped(self, current: str | None, rows: Mapping[str, Row], outcome: Outcome) -> None:
        """A process was ended or ended by itself, in the row `current` or between two."""
        self._why = f"its process did not start: {outcome.state}, {outcome.said}"
        if current is not None:
            self._end(current, outcome)
        elif len(rows) == 1 and next(iter(rows)) not in self.outcomes:
            self._end(next(iter(rows)), Outcome(FAILED, outcome.seconds, self._why))

    def _end(self, name: str, outcome: Outcome) -> None:
        self.outcomes[name] = outcome
        self._changed(self)


def _over(until: float) -> bool:
    return time.monotonic() >= until


def _read(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    assert process.stdout is not None
    with process.stdout as told:
        for line in told:
            lines.put(line)
    lines.put(None)


def _end(process: "subprocess.Popen[str]") -> None:
    """Kill the process with those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
