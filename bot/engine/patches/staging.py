"""Brings the tensors of many changes to the device in a few copies instead of one for each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeAlias

import torch

from bot.engine.patches.changes import Change, tensors_of

Weighted: TypeAlias = tuple[float, Change]
"""The weight that a change is applied with, and the change."""
Patch: TypeAlias = tuple[str, Sequence[Weighted]]
"""A parameter and its changes."""

WINDOW: Final = 32 * 2**20
"""Bytes of tensors on the device at once, and for those in fp32 as much again: together less than
the second fp32 copy of SDXL's largest convolution (113 MiB) that a change may need. A file of rank
128 has several hundred MiB, which an 11 GB card that is painting has not got free."""
GAP: Final = 4096
"""Bytes that are copied in vain, at most, rather than making two copies of two neighbours. Between
the factors of two modules lies an alpha."""
_MOST: Final = WINDOW + WINDOW // 4
"""Bytes of the window with such gaps."""
_ALIGNMENT: Final = 512
"""Of each copy in the window, as torch aligns what it allocates on the device."""


def staged(patches: Iterable[Patch], device: str) -> Iterator[Patch]:
    """The same patches in the same order, on a GPU with their tensors there.

    Each is to be used before the next is taken: the memory on the device is used again.
    """
    if torch.device(device).type == "cuda":
        return (patch for batch in batches(patches) for patch in moved(batch, device))
    return iter(patches)


def batches(patches: Iterable[Patch]) -> Iterator[list[Patch]]:
    """The patches in groups whose tensors fit in the window; one that does not is alone."""
    batch: list[Patch] = []
    size = 0
    for patch in patches:
        more = sum(change.nbytes for _, change in patch[1])
        if batch and size + more > WINDOW:
            yield batch
            batch, size = [], 0
        batch.append(patch)
        size += more
    if batch:
        yield batch


def moved(batch: Sequence[Patch], device: str) -> list[Patch]:
    """The batch with its tensors on `device`.

    As it is where it does not fit in the window, or on the device; then each formula copies its own
    tensors, one at a time.
    """
    found = {
        id(tensor): tensor
        for _, weighted in batch
        for _, change in weighted
        for tensor in tensors_of(change)
        if tensor.device.type == "cpu" and tensor.is_contiguous() and tensor.numel()
    }
    runs = _runs(found.values())
    places, size = [], 0
    for _, begin, end in runs:
        places.append(size)
        size += -(-(end - begin) // _ALIGNMENT) * _ALIGNMENT
    if not size or size > _MOST:
        return list(batch)
    try:
        window = torch.empty(size, dtype=torch.uint8, device=device)
        there = dict(_placed(found, runs, places, window))
    except torch.OutOfMemoryError:
        return list(batch)
    return [(name, [(w, _with(change, there)) for w, change in some]) for name, some in batch]


_Run: TypeAlias = tuple[torch.UntypedStorage, int, int]
"""The bytes from … to … of a storage, which are copied at once."""


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    begin = int(tensor.storage_offset()) * tensor.itemsize
    return begin, begin + tensor.nbytes


def _runs(tensors: Iterable[torch.Tensor]) -> list[_Run]:
    """The bytes of all tensors, neighbours together; each run begins at a multiple of 16."""
    spans: dict[int, tuple[torch.UntypedStorage, list[tuple[int, int]]]] = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        spans.setdefault(storage.data_ptr(), (storage, []))[1].append(_span(tensor))
    runs: list[_Run] = []
    for storage, those in spans.values():
        end = -1
        for start, stop in sorted(those):
            if end >= 0 and start - end <= GAP:
                end = max(end, stop)
                runs[-1] = (storage, runs[-1][1], end)
            else:
                end = stop
                runs.append((storage, start - start % 16, end))
    return runs


def _placed(
    tensors: Mapping[int, torch.Tensor],
    runs: Sequence[_Run],
    places: Sequence[int],
    window: torch.Tensor,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Copy the runs to their places in the window; yields each tensor's id and its view there."""
    copied: dict[int, list[tuple[int, int, int]]] = {}
    for (storage, begin, end), place in zip(runs, places, strict=True):
        here = torch.empty(0, dtype=torch.uint8).set_(storage, begin, (end - begin,), (1,))
        window[place : place + end - begin].copy_(here, non_blocking=True)
        copied.setdefault(storage.data_ptr(), []).append((begin, end, place))
    position: dict[int, int] = {}
    by_place = sorted(tensors.items(), key=lambda item: _span(item[1])[0])
    for number, tensor in by_place:
        key = tensor.untyped_storage().data_ptr()
        start, stop = _span(tensor)
        at = position.get(key, 0)
        while copied[key][at][1] < stop:
            at += 1
        position[key] = at
        begin, _, place = copied[key][at]
        view = torch.empty(0, dtype=tensor.dtype, device=window.device).set_(
            window.untyped_storage(),
            (place + start - begin) // tensor.itemsize,
            tensor.shape,
            tensor.stride(),
        )
        # A product may choose its kernel, and so its rounding, by the alignment of its factors, and
        # reads those that are in fp32 where they lie.
        yield number, view.clone() if tensor.dtype is torch.float32 else view


def _with(value: Any, there: Mapping[int, torch.Tensor]) -> Any:
    """The same change with the tensors of `there`, by id."""
    if isinstance(value, torch.Tensor):
        return there.get(id(value), value)
    if isinstance(value, tuple):
        return tuple(_with(each, there) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        new = {f.name: _with(getattr(value, f.name), there) for f in fields(value)}
        return replace(value, **new)
    return value
