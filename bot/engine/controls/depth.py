"""How far away everything in an image is, by Depth Anything (arXiv 2406.09414). Imports torch.

A DINOv2 encoder with a DPT head (transformers' DepthAnythingForDepthEstimation). It tells relative
inverse depth, as ControlNets were trained with: near is large, and the unit is the image's own.

It is read for an image that is new, and leaves the device afterwards; what it found stays in RAM.
"""

import json
import logging
import re
from collections import OrderedDict
from typing import Any, Final

import numpy as np
import PIL.Image
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from bot.engine import networks
from bot.engine.building import without_weights
from bot.engine.configurations import ABSENT, Field, Kind, each, known, number, one_of, whole
from bot.engine.environment import Place, is_the_devices
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import FileTensors, Formats, Part, PristineWeights
from bot.errors import ImagenError
from bot.progress import Stage
from catalog.weight_files.pipeline import NETWORK as CONFIG

log = logging.getLogger(__name__)

NAME: Final = "depth"
KEPT: Final = 16
"""How many images' depths stay in RAM: 1.5 MB each, usually."""
DTYPE: Final = torch.float32
"""Of the network, on every device. In 16 bits depths come in visible steps, or not at all where one
overflows (DepthAnything/Depth-Anything-V2, issue 114); and it is small."""
STRETCH: Final = 4
"""How many times as long as what the network was trained with the side of an image may become."""
MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION: Final = np.array((0.229, 0.224, 0.225), np.float32)
"""ImageNet's colours, from 0 to 1, which the encoder was trained with."""

_STAGE: Final = Field(
    "stage1 to stage128",
    lambda value: isinstance(value, str) and re.fullmatch(r"stage\d{1,3}", value) is not None,
)
_MODEL: Final = Kind(
    ("DepthAnythingForDepthEstimation",),
    {
        "model_type": one_of("depth_anything"),
        "backbone": ABSENT,
        "backbone_kwargs": one_of(None, {}),
        "use_timm_backbone": one_of(False, None),
        "use_pretrained_backbone": one_of(False, None),
        "depth_estimation_type": one_of("relative"),
        "reassemble_factors": each(one_of(8, 4, 2, 1, 0.5, 0.25), 8),
        "reassemble_hidden_size": whole(1, 16_384),
        "neck_hidden_sizes": each(whole(1, 16_384), 8),
        "fusion_hidden_size": whole(2, 16_384),
        "head_hidden_size": whole(1, 16_384),
        "head_in_index": whole(-8, 7),
    },
)
_OPTIONS: Final = ("backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone")
"""Fields that would fetch an encoder from elsewhere, and say nothing here."""
_ENCODER: Final = Kind(
    ("Dinov2Model", "Dinov2Backbone"),
    {
        "model_type": one_of("dinov2"),
        "hidden_size": whole(1, 16_384),
        "num_hidden_layers": whole(1, 128),
        "num_attention_heads": whole(1, 256),
        "mlp_ratio": whole(1, 16),
        "hidden_act": one_of("gelu"),
        "layer_norm_eps": number(0, 1),
        "image_size": whole(1, 2_048),
        "patch_size": whole(1, 256),
        "num_channels": one_of(3),
        "qkv_bias": one_of(True, False),
        "use_swiglu_ffn": one_of(False),
        "apply_layernorm": one_of(True, False),
        "reshape_hidden_states": one_of(False),
        "use_mask_token": one_of(True, False),
        "out_indices": each(whole(1, 128), 8),
        "out_features": each(_STAGE, 8),
    },
)
_RENAMED: Final = (
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
)
"""What files call the tensors of attention, all those published, and what transformers does since
version 5."""


class DepthEstimator:
    """Tells the depth of images, and remembers it. Runs in the engine's thread only."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: OrderedDict[Any, PIL.Image.Image] = OrderedDict()

    def depth(
        self, files: Source, image: tuple[str, PIL.Image.Image], subject: Subject
    ) -> PIL.Image.Image:
        """Relative inverse depth of an image, for `maps.prepared`: mode F, in the network's own
        resolution. Not to be written to.

        image: its sha256 and the image, RGB.
        Raises JobFailed, or what `subject.check_stop` raises.
        """
        try:
            key = (image[0], files.fingerprint())
            if key not in self._found:
                subject.tick(Stage.LOADING, 0.0)
                self._found[key] = self._estimate(files, image[1], subject)
            self._found.move_to_end(key)
        except Exception as error:
            if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
                raise
            if isinstance(error, OSError) and error.errno is not None:
                raise subject.unread(files.root, error) from error
            log.warning("The depth estimator %s cannot be used", subject.key, exc_info=True)
            raise subject.failed("depth.unreadable", reason=type(error).__name__) from error
        while len(self._found) > KEPT:
            self._found.popitem(last=False)
        return self._found[key]

    def _estimate(
        self, files: Source, picture: PIL.Image.Image, subject: Subject
    ) -> PIL.Image.Image:
        config = _configuration(files, subject)
        with without_weights():
            module = DepthAnythingForDepthEstimation(config)
        part = Part(module, Formats(DTYPE), self._place.device)
        stored = networks.stored(files.weights)
        found = FileTensors({_named(n): t for n, t in stored.items()}, stored.files)
        tensors = networks.fitting(NAME, found, part.layout, subject)
        # Not cached: it is used only once per image.
        part.hold(PristineWeights("", part.layout, None, tensors))
        encoder = config.backbone_config
        pixels = torch.from_numpy(seen(picture, encoder.image_size, encoder.patch_size))
        part.wake(subject.check_stop)
        with torch.inference_mode():
            depth = part.module(pixels.to(self._place.device)).predicted_depth[0].cpu().numpy()
        part.park()
        self._place.empty_cache()
        if not np.isfinite(depth).all():
            raise subject.failed("depth.unreadable", reason="what it tells is not finite")
        return PIL.Image.fromarray(np.array(depth, np.float32))


def seen(picture: PIL.Image.Image, side: int, patch: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`picture`, RGB, as the network takes it: (1, 3, height, width), as DPTImageProcessor has it.

    side: of the square images that it was trained with. patch: what both sides are a multiple of.
    """
    width, height = picture.size
    # Whichever of them changes the image less.
    scale = min(side / height, side / width, key=lambda scale: abs(1 - scale))
    across, down = (
        min(max(round(length * scale / patch), 1), STRETCH * side // patch) * patch
        for length in (width, height)
    )
    resampling = PIL.Image.Resampling.BICUBIC
    scaled = np.asarray(picture.resize((across, down), resampling), np.float32)
    normal = (scaled / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def _configuration(files: Source, subject: Subject) -> Any:
    text = (files.root / CONFIG).read_text(encoding="utf-8")
    stated = json.loads(text)
    model = known(NAME, stated, _MODEL, subject)
    encoder = known(f"{NAME}.backbone_config", stated.get("backbone_config"), _ENCODER, subject)
    backbone = Dinov2Config(**{**encoder, "reshape_hidden_states": False})
    own = {name: value for name, value in model.items() if name not in _OPTIONS}
    return DepthAnythingConfig(**own, backbone_config=backbone, patch_size=backbone.patch_size)


def _named(name: str) -> str:
    """A tensor's name in a file, as the module has it."""
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return name
