"""ImageEngine: what the consumer needs from an engine, in this process or elsewhere."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from catalog import AdapterEntry, ModelEntry


class ImageEngine(Protocol):
    """The interface of `bot.engine.Engine`, which documents each method.

    All methods are called in the same thread, except `prefetch`.
    """

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

    def close(self) -> None: ...
