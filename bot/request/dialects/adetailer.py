"""ADetailer, the web UI's extension that finds faces and hands: what its models mean here."""

from typing import Final

from bot.request.parts import DETAIL_PADDING, DETAIL_STRENGTH

CONFIDENCE: Final = 0.3
STRENGTH: Final = DETAIL_STRENGTH
PADDING: Final = DETAIL_PADDING
"""What it finds and paints with, unless it is told otherwise."""

_EXACTLY: Final = {"mediapipe_face_mesh_eyes_only": "eyes"}
_BEGINNINGS: Final = (
    *(("face", "face"), ("mediapipe_face", "face"), ("hand", "hand"), ("person", "person")),
    *(("eye", "eyes"), ("full_eyes", "eyes")),
)


def word_of(model: str) -> str | None:
    """What a model such as `face_yolov8n.pt` finds, as it is typed here; None if that is not
    known."""
    name = model.strip().casefold().rpartition("/")[2]
    found = (word for begin, word in _BEGINNINGS if name.startswith(begin))
    return _EXACTLY.get(name) or next(found, None)
