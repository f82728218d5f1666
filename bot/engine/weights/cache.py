"""The pristine weights of networks: in RAM where there is room, else in their files."""

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch

from bot.engine.weights.files import FileTensors, fill
from bot.engine.weights.host import HostMemory
from bot.engine.weights.layout import ALIGNMENT, Layout

log = logging.getLogger(__name__)

WINDOW: Final = 2**27
"""Bytes of plain weights that are on the device at once while others there are made of them."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PristineWeights:
    """The pristine parameters of one network; they are never written to.

    digest: identifies the weights. layout: of the network that they are for, with nothing in 8
        bits: a weight that an adapter changes is encoded anew from the plain one.
    memory: begins with all of them in the layout; or None, and `tensors` are read from their files
        when needed, in the files' own dtype.
    source: what is the same for all weights of the same network in the same files, read to whatever
        depth; None if it is not known.
    whole: those that the memory belongs to, if these are only its first ones.
    """

    digest: str
    layout: Layout
    memory: HostMemory | None
    tensors: Mapping[str, torch.Tensor]
    source: Hashable = None
    whole: "PristineWeights | None" = None

    def tensor(self, name: str) -> torch.Tensor:
        """One parameter on the CPU, in the layout's dtype or still in the file's."""
        if self.memory:
            return self.layout.view(self.memory.buffer, name)
        return self.tensors[name]

    def copy_into(self, buffer: torch.Tensor, check_stop: Callable[[], None]) -> None:
        """Fill `buffer`, of the layout's size on any device. `check_stop` may raise to stop.

        Raises OSError and FileChanged when the weights are still in their files.
        """
        check_stop()
        if self.memory:
            buffer.copy_(self.memory.buffer[: self.layout.size], non_blocking=True)
            return
        read = set()
        if isinstance(self.tensors, FileTensors):
            read = fill(self.layout, buffer, self.tensors, check_stop)
        for name in self.layout.slots.keys() - read:
            check_stop()
            self.layout.view(buffer, name).copy_(self.tensors[name])

    def in_ram(self, stored: Layout) -> torch.Tensor | None:
        """The bytes of a buffer of that layout, which has neighbouring parameters of these; None
        where they are not in RAM, or not in that format."""
        begin, plain = self.layout.piece(tuple(stored.slots))
        if self.memory is None or plain != stored:
            return None
        return self.memory.buffer[begin : begin + plain.size]

    def store_in(
        self, stored: Layout, buffer: torch.Tensor, check_stop: Callable[[], None]
    ) -> None:
        """Like `copy_into`, for a buffer of some of the parameters, perhaps in another format.

        stored: the layout of `buffer`, with neighbouring parameters of these. Where any is in 8
        bits, the plain ones pass through a window on its device.
        """
        if stored is self.layout:
            self.copy_into(buffer, check_stop)
            return
        begin, plain = self.layout.piece(tuple(stored.slots))
        if plain == stored:
            self._copy_piece(begin, plain, buffer, check_stop)
            return
        largest = max(slot.size for slot in plain.slots.values())
        size = min(plain.size, max(WINDOW, largest + ALIGNMENT))
        window = torch.empty(size, dtype=torch.uint8, device=buffer.device)
        for within, group in plain.windows(WINDOW):
            check_stop()
            piece = window[: group.size]
            self._copy_piece(begin + within, group, piece, check_stop)
            for name in group.slots:
                stored.store(buffer, name, group.view(piece, name))

    def _copy_piece(
        self, begin: int, piece: Layout, buffer: torch.Tensor, check_stop: Callable[[], None]
    ) -> None:
        """Like `copy_into`, for some of the parameters. begin, piece: see `Layout.piece`."""
        if self.memory:
            check_stop()
            buffer.copy_(self.memory.buffer[begin : begin + piece.size], non_blocking=True)
        else:
            alone = PristineWeights(self.digest, piece, None, self._of(piece))
            alone.copy_into(buffer, check_stop)

    def _of(self, group: Layout) -> Mapping[str, torch.Tensor]:
        tensors = {name: self.tensors[name] for name in group.slots}
        if isinstance(self.tensors, FileTensors):
            return FileTensors(tensors, self.tensors.files)
        return tensors


_Key: TypeAlias = tuple[str, tuple[torch.dtype, ...]]


class WeightCache:
    """Keeps up to `limit` bytes of weights in RAM and drops the least recently used ones.

    What does not fit beside those that networks hold now is read from its files whenever it is
    needed. Those of networks in 8 bits are plain here, too: whatever an adapter changes is computed
    from them, and files are too slow for that. It costs twice the bytes to copy when a network
    comes back to the device, and the encoding there; blocks that take turns are encoded once, in
    memory of their own, which is not counted here.

    Models whose text encoders have the same weights share them here. So do those that read the same
    file to different depths, in the memory of the one that reads most. gpu: see HostMemory.
    """

    def __init__(self, limit: int, *, gpu: str | None) -> None:
        self._limit = limit
        self._gpu = gpu
        self._kept: OrderedDict[_Key, PristineWeights] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(weights.layout.size for weights in self._kept.values())

    def take(
        self,
        digest: str,
        layout: Layout,
        read: Callable[[], Mapping[str, torch.Tensor]],
        check_stop: Callable[[], None],
        source: Hashable = None,
    ) -> PristineWeights:
        """The weights with that digest; unless cached, they are read, and cached if they fit.

        read: returns every parameter of `layout` by name, mapped from its file. source: see
        PristineWeights.
        """
        key = (digest, layout.dtypes)
        if kept := self._kept.get(key):
            self._kept.move_to_end(key)
            return kept
        if (longer := self._longer(layout, source)) is not None:
            self._kept.move_to_end(longer)
            whole = self._kept[longer]
            return PristineWeights(digest, layout, whole.memory, {}, source, whole)
        from_files = PristineWeights(digest, layout, None, read(), source)
        spare = self._make_room(layout, source)
        if self.nbytes + layout.size > self._limit:
            return from_files
        try:
            # Touching and pinning fresh memory takes longer than copying into it.
            memory = spare or HostMemory(layout.size, gpu=self._gpu)
        except RuntimeError:  # the machine has less memory than the setting allows
            log.warning("not enough RAM to keep %d MB of weights", layout.size >> 20)
            return from_files
        memory.settle()
        from_files.copy_into(memory.buffer, check_stop)
        weights = PristineWeights(digest, layout, memory, {}, source)
        self._kept[key] = weights
        return weights

    def _longer(self, layout: Layout, source: Hashable) -> _Key | None:
        """What is kept of the same files and begins as `layout`; None if nothing is."""
        found = (key for key, kept in self._of(source) if layout.begins(kept.layout))
        return next(found, None)

    def _of(self, source: Hashable) -> Iterator[tuple[_Key, PristineWeights]]:
        """What is kept of the same network in the same files."""
        if source is not None:
            yield from (each for each in self._kept.items() if each[1].source == source)

    def _make_room(self, layout: Layout, source: Hashable) -> HostMemory | None:
        """Drop what `layout` will have as well, and the least recently used weights until it fits,
        as far as that is possible; returns unused memory of its size, if any.

        Those that a network holds stay: dropping them would free nothing.
        """
        size, spare = layout.size, None
        if size > self._limit:
            return None
        within = [key for key, kept in self._of(source) if kept.layout.begins(layout)]
        for key in (*within, *(key for key in self._kept if key not in within)):
            if key not in within and self.nbytes + size <= self._limit:
                break
            dropped = self._kept.pop(key)
            memory, holder = dropped.memory, weakref.ref(dropped)
            del dropped
            if (held := holder()) is not None:
                self._kept[key] = held
            elif memory and memory.buffer.numel() == size:
                spare = memory
        return spare
