"""A tiny untrained model of the family; see `tools.untrained`."""

from tools.untrained.krea2 import build

__all__ = ["build"]
