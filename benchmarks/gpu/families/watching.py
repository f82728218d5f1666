"""The largest numbers that go through networks, and the first that are not finite."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch


class Watch:
    """Within the block, looks at what goes into each module of `networks` and what comes out.

    After it, largest: the largest magnitude of the finite tensors, and where it was. broken: where
    tensors were that are not finite, in their order. A place is `network.path`, for what comes out
    of the module of that path, or `network.path, its input`.
    """

    def __init__(self, networks: Mapping[str, torch.nn.Module]) -> None:
        self._networks = networks
        self._hooks = ExitStack()
        self._seen: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        self.largest = (0.0, "")
        self.broken: list[str] = []

    def __enter__(self) -> "Watch":
        for network, module in self._networks.items():
            for path, inner in module.named_modules():
                place = f"{network}.{path}" if path else network
                before = inner.register_forward_pre_hook(
                    partial(self._before, place), with_kwargs=True
                )
                after = inner.register_forward_hook(partial(self._after, place))
                self._hooks.callback(before.remove)
                self._hooks.callback(after.remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()
        for place, low, high in self._seen:
            magnitude = max(abs(float(low)), abs(float(high)))
            if not math.isfinite(magnitude):
                self.broken.append(place)
            else:
                self.largest = max(self.largest, (magnitude, place), key=lambda each: each[0])
        self._seen.clear()

    def _before(self, place: str, _: Any, args: Any, kwargs: Any) -> None:
        # What a mask leaves out may be as small as can be.
        given = {name: each for name, each in kwargs.items() if "mask" not in name}
        self._look(f"{place}, its input", (args, given))

    def _after(self, place: str, _: Any, __: Any, output: Any) -> None:
        self._look(place, output)

    def _look(self, place: str, given: Any) -> None:
        # The device is not waited for.
        for tensor in _tensors(given):
            low, high = tensor.detach().aminmax()  # NaN if there is one
            self._seen.append((place, low, high))


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    """The tensors of numbers in `given`, however nested."""
    if isinstance(given, torch.Tensor):
        if given.is_floating_point() and given.numel():
            yield given
    elif isinstance(given, Mapping):
        for each in given.values():
            yield from _tensors(each)
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _tensors(each)
