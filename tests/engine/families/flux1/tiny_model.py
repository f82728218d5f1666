"""A tiny untrained model of the family; see `tools.untrained`."""

from tools.untrained.flux1 import build

__all__ = ["build"]
