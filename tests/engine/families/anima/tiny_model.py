"""A tiny untrained model of the family; see `tools.untrained`."""

from tools.untrained.anima import build

__all__ = ["build"]
