"""Stock pipelines whose weights lie in memory as the engine's do."""

from typing import Any


def aligned(pipe: Any) -> Any:
    """`pipe`, with weights of its own instead of views of a file, wherever that has them.

    On some processors a matrix product rounds otherwise where a matrix does not begin at a multiple
    of 64 bytes (oneMKL developer guide, "Getting Reproducible Results", memory alignment).
    """
    for module in pipe.components.values():
        for tensor in getattr(module, "parameters", tuple)():
            tensor.data = tensor.data.clone()
    return pipe
