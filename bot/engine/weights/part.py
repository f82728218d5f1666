"""One network on the device: filled, patched by adapters, restored – always the same buffer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.weights.arrangement import Arrangement
from bot.engine.weights.cache import PristineWeights
from bot.engine.weights.eight_bits import EightBitLinear
from bot.engine.weights.formats import Formats
from bot.engine.weights.layout import Layout
from bot.engine.weights.patching import Changes, patch
from bot.engine.weights.streaming import Streaming, copies_on

_RESIZABLE: Final = ("cpu", "cuda")
"""Devices on which torch can take a tensor's memory away and give it some again."""


class Part:
    """A network whose parameters are views of one buffer.

    Switching to another checkpoint or set of adapters copies data into the buffer: no module is
    built, no address changes. The result depends on the weights and the changes alone, never on
    what the network held before: a patched parameter is computed from the pristine one, and
    restoring copies the pristine one back.

    `hold`, `set_changes` and `stream` only set the target state; `wake` applies it with as little
    copying as possible.

    A network that is parked has parameters on the meta device, which say so when they are used.
    Both those and the ones on the device, without their memory, are kept for the next time: making
    them again takes far longer than putting them in place.

    module: built on the meta device, except for its own small buffers, which keep their dtypes;
    linear layers that are to be in 8 bits are replaced in it.
    formats: what each parameter is stored as. layout: of the weights that it holds, with nothing in
    8 bits. blocks: paths of the modules that can take turns on the device; see `Family.blocks`.

    Raises what `Formats.in_eight_bits` raises.
    """

    def __init__(
        self, module: Any, formats: Formats, device: str, blocks: Sequence[str] = ()
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self.formats = formats
        self.layout = Layout.of(module, formats)
        self._blocks = blocks
        linears = dict(formats.in_eight_bits(module))
        self._stored = self.layout.in_eight_bits({f"{path}.weight" for path in linears})
        for path, linear in linears.items():
            module.set_submodule(path, EightBitLinear(linear).eval())
        # The dictionaries themselves: setting an attribute of a module takes far longer.
        self._places = list(_places(module, self._stored))
        self._small = [
            (inner._buffers, name, tensor.to("cpu"))  # noqa: SLF001
            for inner in module.modules()
            for name, tensor in inner.named_buffers(recurse=False)
        ]
        self._parked = self._views(
            self._stored, torch.empty(self._stored.size, dtype=torch.uint8, device="meta")
        )
        # Also while parked, but without memory; None when they have yet to be made.
        self._awake: tuple[torch.Tensor, list[torch.nn.Parameter]] | None = None
        self._device = device
        # The memory of those that are awake; None while the network is parked.
        self._buffer: torch.Tensor | None = None
        self._weights: PristineWeights | None = None
        self._changes: Changes = {}
        # The weights in the buffer; None while they are incomplete.
        self._filled: PristineWeights | None = None
        self._patched: Changes = {}
        # As asked for, and as it is since it last woke.
        self._room: int | None = None
        self._arranged_for: int | None = None
        self._arrangement = Arrangement.whole(self._stored)
        self._streaming: Streaming | None = None
        self._put(self._parked)

    @property
    def present(self) -> bool:
        """Whether it is on the device."""
        return self._buffer is not None

    @property
    def filled(self) -> bool:
        """Whether the weights of `hold` are on the device, with whatever changes."""
        return self._filled is not None and self._filled.digest == self.digest

    @property
    def digest(self) -> str | None:
        """The digest of the weights to fill it with; None when there are none."""
        return self._weights.digest if self._weights else None

    def hold(self, weights: PristineWeights) -> None:
        """Set `weights` for the next `wake`, without changes."""
        self._weights, self._changes = weights, {}

    def let_go(self) -> None:
        """Hold no weights. After the next `hold`, `wake` fills the buffer again."""
        self._weights = self._filled = None
        self._changes = {}
        if self._streaming:
            self._streaming.let_go()

    def stream(self, room: int | None) -> None:
        """Set how many bytes it may take on the device at once, for the next `wake`.

        If its parameters are more, its blocks take turns there (see `streaming`), which changes no
        bits. None: it is there whole.
        """
        self._room = room

    def set_changes(self, changes: Changes) -> None:
        """Set the changes for the next `wake`, replacing all others.

        Each parameter becomes pristine + Σ weight · delta(pristine), summed in fp32 in the order
        given, rounded once.
        """
        self._changes = changes

    def park(self) -> None:
        """Free the device's memory. The module cannot be used until `wake`.

        No other thread may be running it.
        """
        self._leave()
        if self._awake is None:
            return
        memory = self._awake[0].untyped_storage()
        kind = torch.device(self._device).type
        if kind in _RESIZABLE and memory.resizable():  # not if numpy has seen it
            memory.resize_(0)
        else:
            self._awake = None

    def give_up(self) -> None:
        """Like `park`, but another thread that is running the module keeps what it computes with
        until it comes to the next parameter, which fails cleanly."""
        self._leave()
        self._awake = None

    def _leave(self) -> None:
        if self._streaming and self._buffer is not None:
            self._streaming.leave()
        self._buffer = self._filled = None
        self._put(self._parked)
        for buffers, name, tensor in self._small:
            buffers[name] = tensor

    def _enter(self) -> torch.Tensor:
        """Take the device's memory; returns it, with anything in it. After an error, e.g. because
        there is not enough, the network is still parked."""
        if self._room != self._arranged_for:
            self._arrange()
        there = self._arrangement.layout
        if self._awake is None:
            buffer = torch.empty(there.size, dtype=torch.uint8, device=self._device)
            self._awake = buffer, self._views(there, buffer)
        buffer, parameters = self._awake
        if not buffer.untyped_storage().nbytes():
            buffer.untyped_storage().resize_(there.size)
        small = [tensor.to(self._device) for _, _, tensor in self._small]
        for (buffers, name, _), tensor in zip(self._small, small, strict=True):
            buffers[name] = tensor
        self._put(parameters)
        if self._streaming:
            self._streaming.enter(buffer)
        self._buffer = buffer
        return buffer

    def _arrange(self) -> None:
        """Arrange it as asked for, while it is parked."""
        self._awake = self._streaming = None
        self._arrangement = Arrangement.whole(self._stored)
        if self._room is not None:
            self._arrangement = Arrangement.within(self._stored, self._blocks, self._room)
        if self._arrangement.by_turns:
            copies = copies_on(self._device)
            self._streaming = Streaming(self.module, self._arrangement, self._device, copies)
        self._arranged_for = self._room

    def _views(self, layout: Layout, buffer: torch.Tensor) -> list[torch.nn.Parameter]:
        """What to put in `_places`, in the memory of `buffer`, which has that layout."""
        return [
            _parameter((layout.scales if place.of_scales else layout.view)(buffer, place.name))
            for place in self._places
        ]

    def _put(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        for place, parameter in zip(self._places, parameters, strict=True):
            place.holder[place.leaf] = parameter

    # Never in inference mode, even if the caller is: a tensor made in it may not be written to
    # outside, and compiled code distinguishes the two kinds.
    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def wake(self, check_stop: Callable[[], None]) -> None:
        """Make the network on the device what `hold` and `set_changes` set.

        Raises what `check_stop` raises; the next call then fills the buffer from the start.
        """
        weights = self._weights
        if weights is None:
            raise RuntimeError("wake() was called without weights; call hold() first")
        if self._buffer is not None and self._room != self._arranged_for:
            self.park()
        buffer = self._enter() if self._buffer is None else self._buffer
        fits = self._filled is not None and self._filled.digest == weights.digest
        self._filled = None
        if not fits:
            self._fill(buffer, weights, check_stop)
            self._patched = {}
        self._patch(buffer, weights, check_stop)
        if self._streaming:
            self._wake_blocks(self._streaming, weights, check_stop)
        self._filled = weights

    def _fill(
        self, buffer: torch.Tensor, weights: PristineWeights, check_stop: Callable[[], None]
    ) -> None:
        for run in self._arrangement.kept:
            piece = buffer[run.at : run.at + run.layout.size]
            weights.store_in(run.layout, piece, check_stop)

    def _patch(
        self, buffer: torch.Tensor, weights: PristineWeights, check_stop: Callable[[], None]
    ) -> None:
        """Patch what stays on the device."""
        held = _OnDevice(self._arrangement.layout, buffer, self._patched)
        changes, streaming = self._changes, self._streaming
        if streaming:
            changes = {name: each for name, each in changes.items() if name not in streaming}
        patch(held, changes, self._pristine(weights), self._device, check_stop)
        self._patched = held.patched

    def _wake_blocks(
        self, streaming: Streaming, weights: PristineWeights, check_stop: Callable[[], None]
    ) -> None:
        filled, streaming.filled = streaming.filled, None
        if filled is None or filled.digest != weights.digest:
            streaming.fill(weights, check_stop)
        own = {name: each for name, each in self._changes.items() if name in streaming}
        patch(streaming, own, self._pristine(weights), self._device, check_stop)
        streaming.thin_out(weights)
        streaming.filled = weights
        streaming.begin()

    def _pristine(self, weights: PristineWeights) -> Callable[[str], torch.Tensor]:
        def pristine(name: str) -> torch.Tensor:
            tensor = weights.tensor(name).to(self._device, non_blocking=True)
            return tensor.to(self.layout.slots[name].dtype)

        return pristine


@dataclass(slots=True)
class _OnDevice:
    """Parameters in a buffer on the device; see `patching.Held`."""

    layout: Layout
    buffer: torch.Tensor
    patched: Changes

    def in_place(self, name: str) -> torch.Tensor | None:
        if self.layout.slots[name].scales is not None:
            return None
        return self.layout.view(self.buffer, name)

    def store(self, name: str, value: torch.Tensor) -> None:
        self.layout.store(self.buffer, name, value)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a module keeps one of its parameters.

    holder: its dictionary, and leaf: the key there. name: in the layout. of_scales: whether it is
    the scales of that parameter.
    """

    holder: dict[str, Any]
    leaf: str
    name: str
    of_scales: bool


def _places(module: torch.nn.Module, stored: Layout) -> Iterator[_Place]:
    modules = dict(module.named_modules())
    for name, slot in stored.slots.items():
        path, _, leaf = name.rpartition(".")
        holder: dict[str, Any] = modules[path]._parameters  # noqa: SLF001
        yield _Place(holder, leaf, name, of_scales=False)
        if slot.scales is not None:
            yield _Place(holder, "scales", name, of_scales=True)


def _parameter(tensor: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(tensor, requires_grad=False)
