"""Where in a stored request input images are named: each place has an index."""

from typing import Final

INPUT_PATHS: Final = (
    "$.init_image.sha256",
    "$.reference.sha256",
    "$.upscale.sha256",
    "$.describe.sha256",
    "$.init_image.mask",
    *(f"$.pictures[{n}]" for n in range(4)),
    *(f"$.controls[{n}].sha256" for n in range(2)),
)
"""JSON paths, as the indexes of the migrations have them: SQLite would not use these otherwise."""
