"""A tiny untrained model of the family; see `tools.untrained`."""

from tools.untrained.zimage import build

__all__ = ["build"]
