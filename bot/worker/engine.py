"""ImageEngine: what the consumer needs from an engine, in this process or elsewhere."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from bot.recipe import Environment
from catalog import AdapterEntry, ModelEntry


class ImageEngine(Protocol):
    """The interface of `bot.engine.Engine`, which documents each method.

    All methods are called in the same thread, except `prefetch`, `gpu_memory` and `renew`.
    preview_interval: may change between two jobs.
    """

    preview_interval: float | None

    @property
    def environment(self) -> Environment: ...

    @property
    def loaded(self) -> str | None: ...

    def gpu_memory(self) -> dict[str, int]: ...

    def warm_up(self) -> None: ...

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None: ...

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting: ...

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None: ...

    def rest(self) -> None: ...

    def renew(self) -> bool:
        """After EngineLost, or when a call hangs: make the engine usable again.

        One that is elsewhere is given up there: a call that is still waiting for it raises
        EngineLost, and the next call gets a new one. Returns whether that is so; False for one in
        this process, which only a new process can replace. Any thread; returns at once.
        """
        ...

    def close(self) -> None: ...
