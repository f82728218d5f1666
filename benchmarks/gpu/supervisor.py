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
from itertools import groupby
from typing import Any, Final

from benchmarks.gpu.row import (
    CUT,
    DIED,
    DONE,
    FAILED,
    NO_TIME,
    OVERDUE,
    RUNNING,
    SKIPPED,
    STOPPED,
    Outcome,
    Row,
)

STARTING: Final = 240.0
"""Seconds for a process to import the libraries, write the models, hash and load one."""
TIDYING: Final = 60.0
"""Seconds between two rows."""
STARTS_MAX: Final = 2
"""Attempts to start a process, should it end before its first row."""

Command = Callable[[Sequence[str]], Sequence[str]]


class Supervisor:
    """Runs every row once; `outcomes` are those so far, by name, and `facts` the worker's.

    command: of a worker for the rows of these names. changed: called after every figure and row.
    budget: seconds for everything. starting: see STARTING. patience: factor of the rows' deadlines.
    card: reads what a row's outcome keeps of the card, when it has ended.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        command: Command,
        changed: Callable[["Supervisor"], object],
        *,
        budget: float,
        starting: float = STARTING,
        patience: float = 1.0,
        environment: Mapping[str, str] | None = None,
        card: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self.rows = rows
        self.outcomes: dict[str, Outcome] = {}
        self.facts: dict[str, Any] = {}
        self._command = command
        self._changed = changed
        self._until = time.monotonic() + budget
        self._starting = starting
        self._patience = patience
        self._environment = environment
        self._card = card
        self._why = ""

    def run(self) -> None:
        """Run them in their order; those that follow each other share a process if they may."""
        try:
            for _, rows in groupby(self.rows, lambda row: row.process):
                self._run(list(rows))
        finally:
            for outcome in self.outcomes.values():
                if outcome.state == RUNNING:  # only if this process was told to stop
                    outcome.state = STOPPED

    def _run(self, rows: Sequence[Row]) -> None:
        """Run rows of one process, and go on with those that are left in the next one."""
        left, starts = rows, 0
        while left and starts < STARTS_MAX and not self._over:
            begun = self._worker(left)
            starts = 0 if begun else starts + 1
            left = [row for row in left if row.name not in self.outcomes]
        for row in left:
            outcome = Outcome(NO_TIME) if self._over else Outcome(FAILED, said=self._why)
            self._keep(row.name, outcome)

    @property
    def _over(self) -> bool:
        return time.monotonic() >= self._until

    def _worker(self, rows: Sequence[Row]) -> bool:
        """Run `rows` in one process until it ends or is ended; returns whether a row began."""
        process = subprocess.Popen(
            self._command([row.name for row in rows]),
            stdin=subprocess.PIPE,  # its end tells the worker that this process has ended
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
            return self._follow(process, lines, {row.name: row for row in rows})
        finally:
            _end(process)
            reader.join()

    def _follow(
        self,
        process: "subprocess.Popen[str]",
        lines: "queue.SimpleQueue[str | None]",
        rows: Mapping[str, Row],
    ) -> bool:
        began, deadline = time.monotonic(), self._starting
        current: str | None = None
        outcome, any_begun = Outcome(RUNNING), False
        while True:
            ends = min(began + deadline, self._until)
            try:
                line = lines.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                state = CUT if self._over else OVERDUE
                self._stopped(current, outcome, state, began)
                return any_begun
            if line is None:
                code = process.wait()
                if current is not None or code or not any_begun:
                    said = f"signal {-code}" if code < 0 else f"exit code {code}"
                    self._stopped(current, outcome, DIED, began, said)
                return any_begun
            told = json.loads(line)
            match told["event"]:
                case "ready":
                    self.facts |= told["facts"]
                    began, deadline = time.monotonic(), self._starting
                case "begin":
                    current, any_begun, outcome = told["row"], True, Outcome(RUNNING)
                    began = time.monotonic()
                    deadline = self._patience * rows[told["row"]].deadline
                    self._keep(told["row"], outcome)
                case "figure":
                    outcome.figures.append(told["figure"])
                    self._changed(self)
                case state:
                    outcome.state = {"done": DONE, "failed": FAILED, "skipped": SKIPPED}[state]
                    outcome.said = told.get("said", "")
                    outcome.seconds = time.monotonic() - began
                    outcome.card = self._card()
                    self._keep(told["row"], outcome)
                    current = None
                    if rows.keys() <= self.outcomes.keys():
                        return True  # its end may take long, or never come after some errors
                    began, deadline = time.monotonic(), TIDYING

    def _stopped(
        self, current: str | None, outcome: Outcome, state: str, began: float, said: str = ""
    ) -> None:
        """A process was ended or ended by itself, in the row `current` or between two."""
        waited = time.monotonic() - began
        said = said or f"after {waited:.0f} s"
        self._why = f"its process did not start: {state}, {said}"
        if current is not None:
            outcome.state, outcome.seconds, outcome.said = state, waited, said
            outcome.card = self._card()
            self._keep(current, outcome)

    def _keep(self, name: str, outcome: Outcome) -> None:
        self.outcomes[name] = outcome
        self._changed(self)


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
    assert process.stdin is not None
    process.stdin.close()
