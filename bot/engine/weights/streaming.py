"""Blocks of a network that take turns on the device, each copied from RAM before it runs.

For a network that is larger than the device. It computes the same bytes as one that is there whole:
with the same numbers, at equally aligned addresses, by the same kernels. Each pass copies what does
not stay there, while the blocks before it compute.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import torch

from bot.engine.weights.arrangement import PLACES, Arrangement
from bot.engine.weights.cache import PristineWeights
from bot.engine.weights.host import HostMemory
from bot.engine.weights.patching import Changes


class Copies(Protocol):
    """Copies into the places where blocks take turns, beside what the device computes.

    `start` follows `used` of that place, and `arrived` follows `start`.
    """

    def start(self, place: int, source: torch.Tensor, target: torch.Tensor) -> None:
        """Copy `source`, in RAM, into `target` in that place as soon as nothing uses it."""

    def arrived(self, place: int) -> None:
        """Have what is computed from now on wait for the last copy into that place."""

    def used(self, place: int) -> None:
        """Have the next copy into that place wait for what is computed until now."""

    def settle(self) -> None:
        """Wait until no copy is under way."""


class Streaming:
    """The blocks of a network that take turns, in RAM and on the device.

    In RAM they are the pristine weights that are there anyway. One that adapters change, that has
    parameters in 8 bits, or whose weights are not in RAM, has memory of its own there, with what it
    is on the device. That is encoded and summed where it takes turns: as fast as the device is, and
    in memory that is there anyway.

    filled: the weights that it has; None while it has none. patched: see `patching.Held`.

    module: of the network. arrangement: one with blocks `by_turns`.
    """

    def __init__(
        self, module: torch.nn.Module, arrangement: Arrangement, device: str, copies: Copies
    ) -> None:
        self._modules = [module.get_submodule(path) for path in arrangement.by_turns]
        self._runs = tuple(arrangement.by_turns.values())
        self._block_of = {
            name: number for number, run in enumerate(self._runs) for name in run.layout.slots
        }
        self._gpu = device if torch.device(device).type == "cuda" else None
        self._copies = copies
        self._sources: list[torch.Tensor] = []
        self._own: dict[int, HostMemory] = {}
        self._places: list[torch.Tensor] = []
        # Which block is in which place, or about to be.
        self._there: list[int | None] = [None] * PLACES
        self._hooks: list[Any] = []
        self.filled: PristineWeights | None = None
        self.patched: Changes = {}

    def __contains__(self, name: str) -> bool:
        """Whether the parameter of that name takes turns."""
        return name in self._block_of

    def fill(self, weights: PristineWeights, check_stop: Callable[[], None]) -> None:
        """Have the pristine blocks of `weights`.

        After `enter`. Raises what `PristineWeights.store_in` raises; it has to be filled anew then.
        """
        self.let_go()
        for number, (run, place) in enumerate(zip(self._runs, self._places, strict=True)):
            source = weights.in_ram(run.layout)
            if source is None:
                memory = self._own[number] = HostMemory(run.layout.size, gpu=self._gpu)
                source = memory.buffer
                if run.layout.encoded:
                    weights.store_in(run.layout, place, check_stop)
                    source.copy_(place)
                else:
                    weights.store_in(run.layout, source, check_stop)
            self._sources.append(source)

    def let_go(self) -> None:
        """Have no weights; nothing in RAM is used any longer."""
        self._forget()
        self.filled, self.patched = None, {}
        self._sources, self._own = [], {}

    def in_place(self, name: str) -> None:
        """See `patching.Held`: they are in RAM."""

    def store(self, name: str, value: torch.Tensor) -> None:
        """See `patching.Held`; after `enter`."""
        self._forget()
        number = self._block_of[name]
        layout, place = self._runs[number].layout, self._places[number]
        if number not in self._own:
            memory = HostMemory(layout.size, gpu=self._gpu)
            memory.buffer.copy_(self._sources[number])
            self._own[number], self._sources[number] = memory, memory.buffer
        layout.store(place, name, value)
        layout.span(self._sources[number], name).copy_(layout.span(place, name))

    def thin_out(self, weights: PristineWeights) -> None:
        """Free the memory of those that no adapter changes any longer. weights: those that it was
        filled with."""
        changed = {self._block_of[name] for name in self.patched}
        for number in self._own.keys() - changed:
            source = weights.in_ram(self._runs[number].layout)
            if source is not None:
                self._forget()
                self._sources[number] = source
                del self._own[number]

    def enter(self, buffer: torch.Tensor) -> None:
        """Take turns in `buffer`, on the device, whenever the network runs."""
        for place in range(PLACES):
            self._copies.used(place)  # by whatever had this memory before
        self._places = [buffer[run.at : run.at + run.layout.size] for run in self._runs]
        for number, block in enumerate(self._modules):
            self._hooks += [
                block.register_forward_pre_hook(partial(self._before, number)),
                block.register_forward_hook(partial(self._after, number)),
            ]

    def begin(self) -> None:
        """Start with the first blocks, before the network runs."""
        for place in range(PLACES):
            self._bring(place)

    def leave(self) -> None:
        """Use the device's memory no longer; it may be freed then."""
        self._forget()
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._places = [], []

    def _before(self, number: int, *_: Any) -> None:
        place = number % PLACES
        if self._there[place] != number:
            self._copies.used(place)  # also after a block that failed on its way
            self._bring(number)
        self._copies.arrived(place)

    def _after(self, number: int, *_: Any) -> None:
        place = number % PLACES
        self._copies.used(place)
        following = number + PLACES
        self._bring(following if following < len(self._runs) else place)

    def _bring(self, number: int) -> None:
        place = number % PLACES
        if self._there[place] != number:
            self._there[place] = number
            self._copies.start(place, self._sources[number], self._places[number])

    def _forget(self) -> None:
        """Count nothing as on the device, as it is about to change in RAM, or be freed."""
        if any(number is not None for number in self._there):
            self._copies.settle()
            self._there = [None] * PLACES


def copies_on(device: str) -> Copies:
    """The copies for that device: beside its computing on CUDA; elsewhere in line with it."""
    return _Beside(device) if torch.device(device).type == "cuda" else _InLine()


class _InLine:
    """Each is done when `start` returns, or before whatever is computed after it."""

    def start(self, place: int, source: torch.Tensor, target: torch.Tensor) -> None:
        target.copy_(source)

    def arrived(self, place: int) -> None:
        pass

    def used(self, place: int) -> None:
        pass

    def settle(self) -> None:
        pass


class _Beside:
    """In a CUDA stream of their own; what waits is the device, never this thread."""

    def __init__(self, device: str) -> None:
        self._device: Final = device
        cuda: Any = torch.cuda
        self._stream = cuda.Stream(device)
        self._arrived = [cuda.Event() for _ in range(PLACES)]
        self._used = [cuda.Event() for _ in range(PLACES)]

    def start(self, place: int, source: torch.Tensor, target: torch.Tensor) -> None:
        self._stream.wait_event(self._used[place])
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)
        self._arrived[place].record(self._stream)

    def arrived(self, place: int) -> None:
        self._computing().wait_event(self._arrived[place])

    def used(self, place: int) -> None:
        self._used[place].record(self._computing())

    def settle(self) -> None:
        self._stream.synchronize()

    def _computing(self) -> Any:
        return torch.cuda.current_stream(self._device)
