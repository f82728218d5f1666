"""What all rows of one process share: two models, our engine, and plain diffusers."""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks import adapters, bench_model
from benchmarks.baseline import torchs_defaults
from benchmarks.bench_model import RAM, Bench
from benchmarks.gpu.call import beside
from benchmarks.side_by_side import Work, seconds, tidy


class Context:
    """One engine with two models, and what several rows need of them.

    repeat: runs of each kind after its warm-up. steps: of a request. facts: for the JSON.
    """

    def __init__(self, bench: Bench, options: argparse.Namespace, facts: dict[str, str]) -> None:
        self.bench = bench
        self.options = options
        self.facts = facts
        self.repeat: int = options.repeat
        self.steps: int = options.steps
        self._plain: Any = None
        self._loaded: tuple[Path, ...] = ()
        self._peft_used = False
        self._plain_seconds: float | None = None

    @property
    def cuda(self) -> bool:
        return self.bench.device == "cuda"

    @property
    def disk(self) -> Path:
        """Where gigabytes may be put on the disk of the results, but not among them."""
        return beside(Path(self.options.out).absolute())

    @property
    def plain(self) -> Any:
        """Plain diffusers' pipeline of the first model, without LoRAs."""
        if self._plain is None:
            with torchs_defaults():
                self._plain = self.bench.plain()
        if self._loaded:
            self._plain.unload_lora_weights()
            self._loaded = ()
        return self._plain

    def loading(self, files: Sequence[Path]) -> Any:
        """The same pipeline for a row that loads `files` into it, which may stay there.

        They do until `plain`, because loading them takes plain diffusers many seconds.
        """
        pipeline = self.plain
        if not self._peft_used:
            # What a process does at its first LoRA is not measured.
            self._peft_used = True
            adapters.load(pipeline, files[:1])
            pipeline.unload_lora_weights()
        self._loaded = tuple(files)
        return pipeline

    def plain_with(self, files: Sequence[Path]) -> Any:
        """The same pipeline with exactly these LoRAs loaded."""
        if self._loaded != tuple(files):
            adapters.load(self.loading(files), files)
        return self._plain

    def request(self, **fields: Any) -> Any:
        """The request that the most rows time, each call with a prompt of its own."""
        return self.bench.fresh(**{"steps": self.steps, **fields})

    def plain_seconds(self) -> float:
        """Median seconds of plain diffusers' request with torch's own settings, in this process."""
        if self._plain_seconds is None:
            with torchs_defaults():
                self._plain_seconds = self.median(self.paint_plain)
        return self._plain_seconds

    def paint(self) -> Any:
        """Our Painting of `request`."""
        return self.bench.paint(self.request())

    def paint_plain(self) -> Any:
        """Plain diffusers' image of `request`."""
        return self.bench.paint_plain(self.plain, self.request())

    def median(self, work: Work) -> float:
        """Median seconds of `work` after a warm-up."""
        work()
        return statistics.median(seconds(work) for _ in range(self.repeat))

    def tidy(self) -> None:
        """Free what a row left behind."""
        tidy()


@contextmanager
def opened(options: argparse.Namespace, keys: Sequence[str], **extra: Any) -> Iterator[Context]:
    """Draw the models on the device, unless they are there, and load the first one."""
    drawn_on = "cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu"
    with bench_model.opened(
        options, keys, drawn_on=drawn_on, model_cache=RAM, memory=options.memory, **extra
    ) as bench:
        bench.paint(bench.request(steps=1, width=64, height=64))
        context = Context(bench, options, bench.painter._place.describe())
        context.facts["model"] = options.shape.name
        yield context
