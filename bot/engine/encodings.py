"""Encoded texts, kept in RAM: a text that was encoded before need not wake the text encoders.

A reroll, a variation, a comparison and the usual negative prompt are such texts. Imports torch.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Final

from bot.engine.families import Family, Recall, Tensors
from bot.engine.patches import AdapterFile
from bot.engine.residency import Resident
from bot.recipe import Weights
from bot.request import AdapterUse

LIMIT: Final = 64 * 2**20
"""Bytes. Some 200 texts of SDXL in 16 bits (0.32 MB each): more prompts than are being varied at
any time, and little next to a model."""

Patches = tuple[tuple[str, float], ...]
"""The adapters that change the text encoders, in order: SHA-256 of each and its weight there."""


class Encodings:
    """Drops the least recently used texts first. For one device, and in the engine thread only.

    limit: bytes of all texts together.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._texts: OrderedDict[Hashable, Tensors] = OrderedDict()
        self.nbytes = 0

    def recall(
        self, model: Resident, patches: Patches, device: str, check_stop: Callable[[], None]
    ) -> Recall:
        """What a family encodes a request's texts with.

        The text encoders wake, with the adapters of `Resident.set_adapters`, for the first text
        that is not known. patches: what these adapters do to them. Raises what `check_stop` raises.
        """
        family = model.family
        encoders = (
            # Of all that an adapter may change: its names are matched with all of them.
            tuple(
                model.shapes[name]
                for name in dict.fromkeys((*family.patched, *family.text_encoders))
            ),
            tuple(model.parts[name].digest for name in family.text_encoders),
            patches,
        )
        awake = False

        def recalled(text: Hashable, encode: Callable[[], Tensors]) -> Tensors:
            nonlocal awake
            known = self._texts.get((encoders, text))
            if known is not None:
                self._texts.move_to_end((encoders, text))
                return tuple(tensor.to(device) for tensor in known)
            if not awake:
                model.wake(check_stop, *family.text_encoders)
                awake = True
            encoded = encode()
            self._keep((encoders, text), encoded)
            return encoded

        return recalled

    def _keep(self, key: Hashable, encoded: Tensors) -> None:
        copies = tuple(tensor.to("cpu", copy=True) for tensor in encoded)
        if not all(bool(tensor.isfinite().all()) for tensor in copies):
            return  # a fault of the device that happens once must not last
        self._texts[key] = copies
        self.nbytes += _bytes(copies)
        while self.nbytes > self._limit:
            _, dropped = self._texts.popitem(last=False)
            self.nbytes -= _bytes(dropped)


def _bytes(tensors: Tensors) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def patches_of(
    family: Family, adapters: Iterable[tuple[AdapterUse, AdapterFile, Weights]]
) -> Patches:
    """What a request's adapters do to the text encoders."""
    weighted = (
        (use.weight if use.text_weight is None else use.text_weight, file, weights)
        for use, file, weights in adapters
    )
    return tuple(
        (weights.sha256, weight)
        for weight, file, weights in weighted
        if weight and any(change.part in family.text_encoders for change in file.changes)
    )
