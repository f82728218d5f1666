"""Answers as examples in the OpenAPI document, where no model describes them."""

from typing import Any, Final

_NAMED: Final = {"enabled": True, "available": True, "problems": []}
MODEL: Final[dict[str, Any]] = {
    "key": "demo",
    "name": "Demo, flat",
    "description": "Simple things in plain colours.",
    "default": True,
    "family": "sdxl",
    "variant": None,
    "base": "SDXL",
    "bases": ["SDXL", "Pony", "Illustrious", "NoobAI"],
    "speed": "fast",
    "takes": {
        "negative_prompt": True,
        "guidance_scale": True,
        "brackets": True,
        "image": True,
        "reference": False,
        "control": True,
    },
    "edits": 0,
    "width": 128,
    "height": 128,
    "steps": {"min": 4, "default": 20, "max": 100},
    "guidance_scale": {"min": 1.0, "default": 4.0, "max": 30.0},
    "scheduler": "DPM++ 2M",
    "schedulers": ["DPM++ 2M", "Euler a"],
    "negative_prompt": "",
    "side": {"min": 64, "max": 256, "multiple_of": 8},
    "max_pixels": 65536,
    "loaded": False,
    **_NAMED,
}
LORA: Final[dict[str, Any]] = {
    "key": "sketch",
    "name": "Demo, sketch",
    "description": "Coloured pencil on paper.",
    "trigger_words": ["sketch"],
    "default_weight": 1.0,
    "base": "SDXL",
    "kind": "LoRA",
    "rank": 4,
    "models": ["demo"],
    **_NAMED,
}
EMBEDDING: Final[dict[str, Any]] = {
    "key": "fine-hands",
    "name": "Fine hands",
    "description": "For the negative prompt.",
    "base": "SDXL",
    "vectors": 4,
    **_NAMED,
}
UPSCALER: Final[dict[str, Any]] = {
    "key": "general-4x",
    "name": "General 4× (Real-ESRGAN)",
    "description": "Photos and renders.",
    "default": True,
    "factor": 4,
    **_NAMED,
}
CONTROLNET: Final[dict[str, Any]] = {
    "key": "canny",
    "name": "Canny edges",
    "description": "Follows the edges of an image.",
    "type": "canny",
    "types": ["canny"],
    "kind": "controlnet",
    "base": "SDXL",
    "models": ["demo"],
    **_NAMED,
}
IMAGE: Final[dict[str, Any]] = {
    "url": "/image/k3v9m2xqpa/1",
    "seed": 42,
    "width": 128,
    "height": 128,
    "bytes": 9264,
    "sha256": "7f" * 32,
    "available": True,
}
METADATA: Final[dict[str, Any]] = {
    "model": "demo",
    "loras": [{"name": "sketch", "weight": 0.8}],
    "steps": 20,
    "guidance_scale": 4.0,
    "seed": 42,
    "width": 128,
    "height": 128,
    "size": "128x128",
    "scheduler": "DPM++ 2M",
    "hashes": {"demo": "a0" * 32, "sketch": "b1" * 32},
}
LANE: Final = {
    "name": "gpu-0",
    "device": "cuda:0",
    "state": "ready",
    "model": "demo",
    "busy": False,
}
HEALTH: Final = {"database": "ok", "painting": "ok"}
EVENTS: Final = """\
event: progress
data: {"job_id": "k3v9m2xqpa", "status": "running", "progress": 0.4, "message": "Step 8/20", …}

event: done
data: {"job_id": "k3v9m2xqpa", "status": "done", "progress": 1.0, "images": […], …}
"""


def answering(example: Any, description: str, kind: str = "application/json") -> dict[str, Any]:
    """An entry of a route's `responses`."""
    return {"description": description, "content": {kind: {"example": example}}}
