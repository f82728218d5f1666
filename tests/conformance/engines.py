"""Every engine that has to behave like `bot.engine.Engine`, and how a test opens it.

To add one: a function that opens it, and a row. What it opens must run `faults.install` wherever it
generates, such as by having a module like `faulty.py` run in place of the real one.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from bot.engine import Engine
from bot.engine_process import ProcessEngine
from bot.errors import Loss
from bot.wire.options import EngineOptions
from bot.worker.engine import ImageEngine
from tests.conformance import faults, faulty
from tests.conformance.elsewhere import on_another_machine


@dataclass(frozen=True, slots=True)
class Row:
    """opened: with the engine, ready to be called. killed: what is lost when what generates is
    killed; None if that is this process, which nothing can renew, so that it skips what comes after
    that. remote: whether it is on another machine, which tells of the latest step alone, and loads
    and rests by itself."""

    name: str
    opened: Callable[[EngineOptions], AbstractContextManager[ImageEngine]]
    killed: Loss | None
    remote: bool = False


@contextmanager
def in_a_thread(options: EngineOptions) -> Iterator[ImageEngine]:
    with pytest.MonkeyPatch.context() as patch:
        faults.install(patch.setattr)
        engine = Engine(**options.arguments())
        yield engine
        engine.close()


@contextmanager
def in_a_process(options: EngineOptions) -> Iterator[ImageEngine]:
    engine = ProcessEngine(options, "gpu-1", module=faulty.__name__)
    yield engine
    engine.close()


ENGINES: Final = (
    Row("thread", in_a_thread, killed=None),
    Row("process", in_a_process, killed=Loss.DIED),
    Row("saq", on_another_machine, killed=Loss.WORKER, remote=True),
)
