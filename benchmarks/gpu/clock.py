"""Moments on the device's own clock, without waiting for it."""

import time
from typing import Any, cast

import torch


def mark(*, cuda: bool) -> Any:
    """Now: on CUDA, when the device gets here."""
    if not cuda:
        return time.perf_counter()
    event = cast("Any", torch.cuda).Event(enable_timing=True)
    event.record()
    return event


def between(before: Any, after: Any) -> float:
    """Seconds from one mark to another; on CUDA, once the device has got there."""
    if isinstance(before, float):
        return float(after - before)
    return float(before.elapsed_time(after)) / 1000
