"""Names of sd-webui-controlnet: what makes the map of an image there, and types of a Union."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.control_types import CANNY, DEPTH, POSE, SCRIBBLE, TILE

NONE: Final = "none"
LINES: Final = ("lineart", SCRIBBLE)
"""Types of which the map of a drawing is its negative."""


@dataclass(frozen=True, slots=True)
class Module:
    """What makes a map there. type: of the map; None: whatever the ControlNet follows.

    same: whether the map comes out as here, and not only nearly.
    """

    type: str | None
    same: bool = True


_NEGATIVE: Final = Module(LINES[0])
_OTHER_DEPTH: Final = Module(DEPTH, same=False)
_OTHER_POSE: Final = Module(POSE, same=False)
"""With hands or a face as well, which are not drawn here, or by other networks."""
_OTHER_LINES: Final = Module(LINES[0], same=False)
MODULES: Final[Mapping[str, Module]] = {
    NONE: Module(None),
    "canny": Module(CANNY),
    "depth_anything_v2": Module(DEPTH),
    **dict.fromkeys(("depth", "depth_midas", "depth_anything"), _OTHER_DEPTH),
    **dict.fromkeys(("depth_zoe", "depth_leres", "depth_leres++"), _OTHER_DEPTH),
    **dict.fromkeys(("invert", "invert (from white bg & black line)"), _NEGATIVE),
    "lineart_standard": _OTHER_LINES,
    "lineart_standard (from white bg & black line)": _OTHER_LINES,
    "openpose": Module(POSE),
    **dict.fromkeys(("openpose_full", "openpose_hand", "openpose_face"), _OTHER_POSE),
    **dict.fromkeys(("dw_openpose_full", "openpose_dw"), _OTHER_POSE),
    "scribble_xdog": Module(SCRIBBLE),
    **dict.fromkeys(("scribble_hed", "scribble_pidinet"), Module(SCRIBBLE, same=False)),
    "tile_resample": Module(TILE),
}
"""Those with a counterpart here, by name and by label."""

OFFERED_MODULES: Final = (
    *(NONE, "canny", "depth_anything_v2", "openpose", "invert", "scribble_xdog", "tile_resample"),
)
"""Those that do the same as there, each by its name."""
USUAL_MODULES: Final[Mapping[str, str]] = {
    CANNY: "canny",
    DEPTH: "depth_anything_v2",
    POSE: "openpose",
    LINES[0]: "invert",
    SCRIBBLE: "scribble_xdog",
}
"""What makes the same map there as is made here, by type; of other types, none is made."""

BEFORE_PHOTOS: Final[Mapping[str, str]] = {POSE: NONE, SCRIBBLE: "invert"}
"""The same of those whose maps earlier versions did not make of photos."""

TYPE_NAMES: Final[Mapping[str, str]] = {
    CANNY: "Canny",
    DEPTH: "Depth",
    "normal": "NormalMap",
    POSE: "OpenPose",
    "mlsd": "MLSD",
    LINES[0]: "Lineart",
    "softedge": "SoftEdge",
    SCRIBBLE: "Scribble",
    "segment": "Segmentation",
    TILE: "Tile",
}
"""What the types are called there where one is chosen."""

UNION_TYPES: Final[Mapping[str, str]] = {
    "openpose": "openpose",
    "depth": DEPTH,
    "soft edge": "softedge",
    "hard edge": CANNY,
    "normal map": "normal",
    "segmentation": "segment",
    "tile": "tile",
}
"""What a Union is told there in lower case, and the type that tells it the same here."""
