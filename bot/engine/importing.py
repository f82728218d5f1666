"""Import torch and what builds on it in a thread, without blocking the event loop."""

import ctypes
import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LIBRARY_SETTINGS: Final = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_XET": "1",  # its downloads cannot be stopped from a progress callback
    "HF_HUB_VERBOSITY": "critical",
    "DIFFUSERS_VERBOSITY": "critical",  # a truncated prompt would be logged at WARNING
    "TRANSFORMERS_VERBOSITY": "critical",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it, matrix products differ between runs
}
"""Environment variables that the libraries read when they are imported."""


_IMPORTING: Final = threading.Lock()
"""Engines of several lanes, and the image check, import the same modules in threads of their own.
Where modules import each other in a circle, two threads would find some of them half imported."""


@contextmanager
def sparing_the_event_loop() -> Iterator[None]:
    """Wrap the first import of torch, in a thread other than the event loop's. One at a time.

    The import holds the interpreter lock in two places where it need not: 0.2 s and more while
    torch's libraries are linked, and 0.1 to 0.2 s in each of several garbage collections that find
    nothing. Imported objects are never freed, so later collections skip them too.
    """
    with _IMPORTING:
        if "torch" in sys.modules:
            yield
            return
        _link_torch()
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            gc.freeze()
            if collecting:
                gc.enable()


def prepare_libraries() -> None:
    """Set up what the libraries look at when they are imported. Idempotent."""
    os.environ.update(LIBRARY_SETTINGS)
    hide_torchvision()


def hide_torchvision() -> None:
    """Let no library import torchvision.

    Nothing here needs it. It is installed because spandrel requires it, for architectures that are
    no upscaler's. A build that does not match torch's fails on import, and transformers with it.
    """
    if "torchvision" not in sys.modules:
        # None is how Python is told to find no such module.
        sys.modules["torchvision"] = None  # type: ignore[assignment]


def _link_torch() -> None:
    """Load torch's libraries that do not use Python; where that fails, the import does it."""
    spec = importlib.util.find_spec("torch")
    if sys.platform == "win32" or spec is None or spec.origin is None:
        return
    if "LD_LIBRARY_PATH" in os.environ:
        return  # some of CUDA's might be found there; torch's own import finds the right ones
    suffix = "dylib" if sys.platform == "darwin" else "so"
    library = Path(spec.origin).parent / "lib" / f"libtorch.{suffix}"
    # ctypes.CDLL(path) would hold the interpreter lock too; a foreign function does not.
    with suppress(OSError, AttributeError):
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
        dlopen(os.fsencode(library), os.RTLD_NOW | os.RTLD_LOCAL)
