"""Work that needs a process of its own, as what torch keeps for a process would change it."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


def alone(work: Callable[Given, Result], *arguments: Given.args, **options: Given.kwargs) -> Result:
    """Run `work` in a new process and return its result.

    All three have to be picklable.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **options).result()
