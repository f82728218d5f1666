"""A disk that fails: below a path, the system answers every look with one error."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def failing(path: Path, name: str, *calls: str) -> Iterator[list[str]]:
    """While it lasts, looking at `path` or at what is below it raises the error called `name`.

    calls: only these functions of `os`, "open" among them; all of them by default.
    Gives the paths that were refused.
    """
    refused: list[str] = []
    number = getattr(errno, name)
    base = str(path)

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any = ".", *args: Any, **options: Any) -> Any:
            if not isinstance(target, int):
                text = os.fsdecode(os.fspath(target))
                if text == base or text.startswith(base + os.sep):
                    refused.append(text)
                    raise OSError(number, os.strerror(number), text)
            return real(target, *args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for call in calls or ("stat", "lstat", "listdir", "scandir", "open"):
            if call == "open":
                for module in (io, builtins):
                    patch.setattr(module, "open", wrapped(io.open))
            else:
                patch.setattr(os, call, wrapped(getattr(os, call)))
        yield refused
