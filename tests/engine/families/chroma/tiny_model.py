"""A tiny untrained model of the family; see `tools.untrained`."""

from tools.untrained.chroma import build

__all__ = ["build"]
