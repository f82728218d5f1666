"""Answers as examples in the OpenAPI document, where no model describes them."""

from typing import Any, Final

from bot.api.original.examples import answering

_SHA256: Final = "a0" * 32
_TITLE: Final = f"demo [{_SHA256[:10]}]"

OPTIONS: Final = {
    "sd_model_checkpoint": _TITLE,
    "sd_checkpoint_hash": _SHA256,
    "live_previews_enable": True,
    "sd_vae": "Automatic",
    "CLIP_stop_at_last_layers": 1,
    "samples_format": "png",
}
CHECKPOINT: Final = {
    "title": _TITLE,
    "model_name": "demo",
    "hash": _SHA256[:10],
    "sha256": _SHA256,
    "filename": "demo.safetensors",
    "config": None,
}
VAE: Final = {"model_name": "sdxl-vae-fp16-fix", "filename": "sdxl-vae-fp16-fix"}
LORA: Final = {
    "name": "sketch",
    "alias": "sketch",
    "path": "sketch.safetensors",
    "metadata": {"ss_output_name": "sketch"},
}
EMBEDDINGS: Final[dict[str, Any]] = {
    "loaded": {"fine-hands": {"shape": 1280, "vectors": 4}},
    "skipped": {},
}
SAMPLER: Final = {
    "name": "DPM++ 2M",
    "aliases": ["DPM++ 2M Karras"],
    "options": {"scheduler": "karras"},
}
SCHEDULER: Final = {
    "name": "karras",
    "label": "Karras",
    "aliases": None,
    "default_rho": 7.0,
    "need_inner_model": False,
}
UPSCALER: Final = {
    "name": "Lanczos",
    "model_name": None,
    "model_path": None,
    "model_url": None,
    "scale": 4,
}
CONTROLNETS: Final = {"model_list": ["canny", "depth"]}
MODULES: Final = {
    "module_list": ["none", "canny"],
    "module_detail": {"canny": {"model_free": False, "sliders": []}},
}
CONTROL_TYPES: Final[dict[str, Any]] = {
    "control_types": {
        "OpenPose": {
            "module_list": ["none", "openpose"],
            "model_list": ["None", "openpose"],
            "default_option": "openpose",
            "default_model": "openpose",
        }
    }
}
SCRIPTS: Final[dict[str, list[str]]] = {"txt2img": [], "img2img": []}
MEMORY: Final = {
    "ram": {"free": 24_000_000_000, "used": 8_000_000_000, "total": 32_000_000_000},
    "cuda": {"error": "unavailable"},
}


def shown(example: Any) -> dict[int | str, dict[str, Any]]:
    """A route's `responses` with an example of its answer."""
    return {200: answering(example, "Successful Response")}
