"""One network on the device: filled, patched by adapters, restored – always the same buffer."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from bot.engine.patches import Change
from bot.engine.weights.cache import PristineWeights
from bot.engine.weights.layout import Layout

Weighted = tuple[float, Change]
"""The weight that a change is applied with, and the change."""
Changes = Mapping[str, Sequence[Weighted]]
"""Parameter → its changes, in the order of the adapters."""


class Part:
    """A network whose parameters are views of one buffer.

    Switching to another checkpoint or set of adapters copies data into the buffer: no module is
    built, no address changes. The result depends on the weights and the changes alone, never on
    what the network held before: a patched parameter is computed from the pristine one, and
    restoring copies the pristine one back.

    `hold` and `set_changes` only set the target state; `wake` applies it with as little copying as
    possible.

    module: built on the meta device, except for its own small buffers.
    """

    def __init__(self, module: Any, dtype: torch.dtype, device: str) -> None:
        self.module = module.eval().requires_grad_(False).to(dtype=dtype)
        self.layout = Layout.of(module, dtype)
        self._parameters = [
            (name, module.get_submodule(path), leaf)
            for name in self.layout.slots
            for path, _, leaf in [name.rpartition(".")]
        ]
        self._device = device
        self._buffer: torch.Tensor | None = None
        self._weights: PristineWeights | None = None
        self._changes: Changes = {}
        # The weights in the buffer; None while they are incomplete.
        self._filled: PristineWeights | None = None
        self._patched: Changes = {}

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

    def set_changes(self, changes: Changes) -> None:
        """Set the changes for the next `wake`, replacing all others.

        Each parameter becomes pristine + Σ weight · delta(pristine), summed in fp32 in the order
        given, rounded once.
        """
        self._changes = changes

    def park(self) -> None:
        """Free the device's memory. The module cannot be used until `wake`."""
        self._buffer = self._filled = None
        self._assign(lambda name: torch.empty(self.layout.slots[name].shape, device="meta"))
        self._move_small_buffers("cpu")

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
        if self._buffer is None:
            self._buffer = torch.empty(self.layout.size, dtype=torch.uint8, device=self._device)
            self._assign(partial(self.layout.view, self._buffer))
            self._move_small_buffers(self._device)
        fits = self._filled is not None and self._filled.digest == weights.digest
        self._filled = None
        if not fits:
            weights.copy_into(self._buffer, check_stop)
            self._patched = {}
        self._patch(self._buffer, weights, check_stop)
        self._filled = weights

    def _patch(
        self, buffer: torch.Tensor, weights: PristineWeights, check_stop: Callable[[], None]
    ) -> None:
        def pristine(name: str) -> torch.Tensor:
            tensor = weights.tensor(name).to(self._device, non_blocking=True)
            return tensor.to(self.layout.dtype)

        for name in self._patched.keys() - self._changes.keys():
            self.layout.view(buffer, name).copy_(pristine(name))
        for name, weighted in self._changes.items():
            check_stop()
            if _same(self._patched.get(name, ()), weighted):
                continue
            parameter = self.layout.view(buffer, name)
            # A parameter that is not patched yet need not be copied from RAM again.
            base = (pristine(name) if name in self._patched else parameter).float()
            total = base.clone()
            for weight, change in weighted:
                change.add_to(total, base, weight)
            parameter.copy_(total)
        self._patched = self._changes

    def _move_small_buffers(self, device: str) -> None:
        for module in self.module.modules():
            for name, tensor in module.named_buffers(recurse=False):
                setattr(module, name, tensor.to(device))

    def _assign(self, tensor: Callable[[str], torch.Tensor]) -> None:
        for name, module, leaf in self._parameters:
            setattr(module, leaf, torch.nn.Parameter(tensor(name), requires_grad=False))


def _same(some: Sequence[Weighted], others: Sequence[Weighted]) -> bool:
    return len(some) == len(others) and all(
        weight == other_weight and change is other
        for (weight, change), (other_weight, other) in zip(some, others, strict=True)
    )
