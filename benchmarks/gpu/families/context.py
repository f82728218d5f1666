"""What all rows of one family share: its files, our engine, and the stock pipeline."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.baseline import torchs_defaults
from benchmarks.bench_model import PROMPT
from benchmarks.gpu.families import bench as benches
from benchmarks.gpu.families.bench import Bench, hashes_file
from benchmarks.gpu.families.models import BY_KEY
from benchmarks.side_by_side import tidy
from bot.engine import Engine
from tools.untrained.filling import Like

DTYPE: Final = torch.bfloat16
"""That the weights are written in, and both programs compute in."""
RAM: Final = 64 * 2**30
"""Bytes of weights that may be kept in RAM: more than any model has."""
TINY_STEPS: Final = 3


class Context:
    """One family. facts: for the JSON. repeat: runs of each kind after its warm-up."""

    def __init__(self, bench: Bench, options: argparse.Namespace) -> None:
        self.bench = bench
        self.repeat: int = options.repeat
        self.facts = self._facts()
        self._numbers = count()
        self._plain: Any = None
        self._half: Bench | None = None

    @property
    def cuda(self) -> bool:
        return torch.device(self.bench.device).type == "cuda"

    @property
    def steps(self) -> int:
        """Of a request."""
        return TINY_STEPS if self.bench.tiny else self.bench.model.usual.steps.default

    def request(self, **fields: Any) -> Any:
        """The usual request with texts that nothing has encoded yet."""
        number = next(self._numbers)
        texts = {"prompt": f"{PROMPT}, {number}"}
        if self.bench.model.usual.takes_negative:
            texts["negative"] = f"blurry, {number}"
        return self.bench.request(**{**texts, "steps": self.steps, **fields})

    @property
    def plain(self) -> Any:
        """The stock pipeline on the device, until `release_plain`."""
        if self._plain is None:
            with torchs_defaults():
                self._plain = self.bench.model.stock(self.bench.folder, DTYPE)
                self._plain.to(self.bench.device)
            self._plain.set_progress_bar_config(disable=True)
        return self._plain

    def release_plain(self) -> None:
        self._plain = None
        self.tidy()

    @property
    def half(self) -> Bench:
        """The same files in an engine that computes in float16, as on a card without bfloat16."""
        if self._half is None:
            bench = self.bench
            engine = _engine(bench.folder, bench.device, dtype="float16", model_cache=0)
            engine.warm_up()
            self._half = replace(bench, engine=engine)
        return self._half

    def tidy(self) -> None:
        """Free what a row left behind."""
        tidy()

    def close(self) -> None:
        for bench in (self.bench, self._half):
            if bench:
                bench.engine.close()

    def _facts(self) -> dict[str, str]:
        bench = self.bench
        size = sum(file.stat().st_size for file in bench.folder.rglob("*.safetensors"))
        own = f"{bench.model.variant}, {size / 2**30:.1f} GiB of random weights"
        shape = "tiny" if bench.tiny else "true size"
        facts: dict[str, str] = bench.painter._place.describe()
        return {**facts, bench.model.facts.name: f"{own}, {shape}"}


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Context]:
    """Draw the model of `options.family` on the device, unless it is there, and load it."""
    (key,) = options.family
    model, tiny = BY_KEY[key], options.quick
    folder: Path = options.weights.absolute() / key
    drawn_on = "cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu"
    like = Like(drawn_on, DTYPE)
    with ExitStack() as stack:
        if tiny:
            stack.enter_context(cramped())
        engine = _engine(folder, options.device, dtype="bfloat16", model_cache=RAM)
        engine.warm_up()  # which sets up what libraries read before the device is first used
        benches.write_model(model, folder, like, tiny=tiny)
        bench = Bench(model, folder, tiny, engine, engine.device_report().device)
        bench.paint(bench.request(steps=1))
        benches.write_lora(bench, like)
        context = Context(bench, options)
        stack.callback(context.close)
        context.tidy()
        yield context


def _engine(folder: Path, device: str, **options: Any) -> Engine:
    """With the whole model on the device."""
    return Engine(
        models_dir=folder.parent,
        hashes_file=hashes_file(folder),
        device=device,
        memory="full",
        weights="full",
        **options,
    )


@contextmanager
def cramped() -> Iterator[None]:
    """Meanwhile, no card of any size has room for the blocks of a network, however tiny."""
    from bot.engine import memory

    before = {**memory.ROOM}
    memory.ROOM.update(dict.fromkeys(before, 0))
    try:
        yield
    finally:
        memory.ROOM.update(before)
