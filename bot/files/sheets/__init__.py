"""The sheet of a comparison: its layout, its labels, and what its file says about it."""
