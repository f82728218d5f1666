"""How the people in an image stand, by ViTPose (arXiv 2204.12484). Imports torch.

A plain vision transformer whose heatmaps tell where the key points of one person are
(transformers' VitPoseForPoseEstimation), also with a mixture of experts (ViTPose++, arXiv
2212.04246).
It looks at each person alone: where these are, the detector finds.

It is read for an image that is new, and leaves the device afterwards; what it found stays in RAM.
"""

import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import PIL.Image
import torch
from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

from bot.engine import networks
from bot.engine.building import without_weights
from bot.engine.configurations import ABSENT, Field, Kind, each, known, number, one_of, whole
from bot.engine.controls.skeleton import PARTS_MIN, Person, Point, from_coco
from bot.engine.environment import Place, is_the_devices
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import FileTensors, Formats, Part, PristineWeights
from bot.errors import ImagenError
from bot.progress import Stage
from bot.request.parts import Box
from catalog.weight_files.pipeline import NETWORK as CONFIG

log = logging.getLogger(__name__)

NAME: Final = "pose"
PEOPLE: Final = "person"
"""What the detector is asked for: the class of COCO that the network was trained with."""
KEPT: Final = 64
"""How many images' people stay in RAM: a few kB each."""
DTYPE: Final = torch.float32
"""Of the network, on every device: points near the threshold must not come and go."""
THRESHOLD: Final = 0.3
"""The height of its peak from which a point counts; mmpose's `kpt_thr`, with which its authors show
it (ViTAE-Transformer/ViTPose, demo/top_down_img_demo.py)."""
POINTS: Final = 17
"""COCO's, the first of all that it tells."""
PADDING: Final = 1.25
"""How much more than a person's box it sees, as it was trained (VitPoseImageProcessor)."""
SIGMA: Final = 0.8
RADIUS: Final = 5
"""Of the blur of a heatmap, in its pixels, before its peak is told within a pixel."""
LEAST: Final = 0.001
MOST: Final = 50.0
"""Between which a blurred heatmap is kept before its logarithm is taken."""
MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION: Final = np.array((0.229, 0.224, 0.225), np.float32)
"""ImageNet's colours, from 0 to 1, which it was trained with."""

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Find: TypeAlias = Callable[[PIL.Image.Image], Sequence[Box]]

_SIZE: Final = whole(1, 16_384)
_TRUTH: Final = one_of(True, False)
_STAGE: Final = Field(
    "stage1 to stage128",
    lambda value: isinstance(value, str) and re.fullmatch(r"stage\d{1,3}", value) is not None,
)
_LABELS: Final = Field(
    f"{POINTS} to 256 key points",
    lambda value: isinstance(value, Mapping) and POINTS <= len(value) <= 256,
)
_MODEL: Final = Kind(
    ("VitPoseForPoseEstimation", "ViTPoseForPoseEstimation"),
    {
        "model_type": one_of("vitpose"),
        "backbone": ABSENT,
        "backbone_kwargs": one_of(None, {}),
        "use_timm_backbone": one_of(False, None),
        "use_pretrained_backbone": one_of(False, None),
        "scale_factor": whole(1, 16),
        "use_simple_decoder": _TRUTH,
        "id2label": _LABELS,
    },
)
_OPTIONS: Final = (
    *("backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone", "id2label"),
)
"""Fields that would fetch a network from elsewhere, and say nothing here; or names of points."""
_BACKBONE: Final = Kind(
    ("VitPoseBackbone",),
    {
        "model_type": one_of("vitpose_backbone"),
        "image_size": each(whole(16, 2_048), 2),
        "patch_size": each(whole(1, 256), 2),
        "num_channels": one_of(3),
        "hidden_size": _SIZE,
        "num_hidden_layers": whole(1, 128),
        "num_attention_heads": whole(1, 256),
        "mlp_ratio": whole(1, 16),
        "num_experts": whole(1, 64),
        "part_features": whole(0, 16_384),
        "hidden_act": one_of("gelu"),
        "layer_norm_eps": number(0, 1),
        "qkv_bias": _TRUTH,
        "out_indices": each(whole(1, 128), 1),
        "out_features": each(_STAGE, 1),
    },
)
_RENAMED: Final = ((".mlp.experts.experts.", ".mlp.experts."),)
"""What files may call the experts, and what transformers does."""
_COUNTED: Final = ("running_mean", "running_var")
"""What batch normalisation has beside its parameters."""


@dataclass(frozen=True, slots=True)
class _Network:
    """Awake, for one image. size: width and height of what it sees. experts: how many it has."""

    part: Part
    size: tuple[int, int]
    experts: int


class PoseEstimator:
    """Tells the poses of people, and remembers them. Runs in the engine's thread only."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: OrderedDict[Any, tuple[Person, ...]] = OrderedDict()

    def people(
        self,
        files: Source,
        image: tuple[str, PIL.Image.Image],
        subject: Subject,
        detector: tuple[Source, Find] | None,
    ) -> tuple[Person, ...]:
        """The people in an image, in its pixels, from the left to the right.

        image: its sha256 and the image, RGB. detector: its files, and what finds the people in an
        image with it; if None, the image is taken to show one person.
        Raises JobFailed, also when there is nobody, or what `subject.check_stop` raises.
        """
        try:
            key = (image[0], files.fingerprint(), detector and detector[0].fingerprint())
            if key not in self._found:
                subject.tick(Stage.LOADING, 0.0)
                boxes = (_all_of(image[1]),) if detector is None else detector[1](image[1])
                self._found[key] = self._estimate(files, image[1], boxes, subject) if boxes else ()
            self._found.move_to_end(key)
        except Exception as error:
            if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
                raise
            if isinstance(error, OSError) and error.errno is not None:
                raise subject.unread(files.root, error) from error
            log.warning("The pose estimator %s cannot be used", subject.key, exc_info=True)
            raise subject.failed("pose.unreadable", reason=type(error).__name__) from error
        while len(self._found) > KEPT:
            self._found.popitem(last=False)
        if not self._found[key]:
            raise subject.failed("pose.nobody")
        return self._found[key]

    def _estimate(
        self, files: Source, picture: PIL.Image.Image, boxes: Sequence[Box], subject: Subject
    ) -> tuple[Person, ...]:
        network = self._read(files, subject)
        network.part.wake(subject.check_stop)
        try:
            told = [self._person(network, picture, box, subject) for box in boxes]
        finally:
            network.part.park()
            self._place.empty_cache()
        return tuple(person for person in told if _parts(person) >= PARTS_MIN)

    def _person(
        self, network: _Network, picture: PIL.Image.Image, box: Box, subject: Subject
    ) -> Person:
        subject.check_stop()
        view = seen(box, network.size)
        device = self._place.device
        pixels = torch.from_numpy(shown(picture, view, network.size)).to(device)
        # Of a mixture's experts, the first ones are COCO's.
        asked = {"dataset_index": torch.zeros(1, device=device)} if network.experts > 1 else {}
        with torch.inference_mode():
            heatmaps = network.part.module(pixels, **asked).heatmaps[0, :POINTS].cpu().numpy()
        if not np.isfinite(heatmaps).all():
            raise subject.failed("pose.unreadable", reason="what it tells is not finite")
        return from_coco(points(heatmaps, view))

    def _read(self, files: Source, subject: Subject) -> _Network:
        config = _configuration(files, subject)
        with without_weights():
            module = VitPoseForPoseEstimation(config)
        stored = networks.stored(files.weights)
        found = FileTensors({_named(n): t for n, t in stored.items()}, stored.files)
        _fill_buffers(module, found, subject)
        part = Part(module, Formats(DTYPE), self._place.device)
        tensors = networks.fitting(NAME, found, part.layout, subject)
        # Not cached: it is used only once per image.
        part.hold(PristineWeights("", part.layout, None, tensors))
        height, width = config.backbone_config.image_size
        return _Network(part, (width, height), config.backbone_config.num_experts)


def seen(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The left, top, width and height of what the network sees of an image for the person in `box`:
    in the shape of `size`, width and height, and with room around, as VitPoseImageProcessor has it
    (box_to_center_and_scale)."""
    wide = max(box.width, box.height * size[0] / size[1]) * PADDING
    high = wide * size[1] / size[0]
    return box.left + box.width / 2 - wide / 2, box.top + box.height / 2 - high / 2, wide, high


def shown(
    picture: PIL.Image.Image, view: tuple[float, float, float, float], size: tuple[int, int]
) -> Floats:
    """`view` of `picture`, RGB, as the network takes it: (1, 3, height, width); black outside.

    The middles of the outer pixels lie on the edges of the view (unbiased data processing, arXiv
    1911.07524), as VitPoseImageProcessor has it (get_warp_matrix).
    """
    left, top, wide, high = view
    across, down = wide / (size[0] - 1), high / (size[1] - 1)
    # PIL counts from the corner of a pixel, the network from its middle.
    begin = (left + 0.5 - across / 2, top + 0.5 - down / 2)
    matrix = (across, 0.0, begin[0], 0.0, down, begin[1])
    cut = picture.transform(
        size, PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BILINEAR, fillcolor=0
    )
    normal = (np.asarray(cut, np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def points(heatmaps: Floats, view: tuple[float, float, float, float]) -> list[Point | None]:
    """Where each heatmap, (points, height, width), has its peak, in the image's pixels; None where
    that is too low.

    Within a pixel it is told by the slope and curvature of the logarithm there (DARK, arXiv
    1910.06278), as VitPoseImageProcessor has it (post_dark_unbiased_data_processing).
    """
    left, top, wide, high = view
    _, height, width = heatmaps.shape
    across, down = wide / (width - 1), high / (height - 1)
    found: list[Point | None] = []
    for heatmap in heatmaps:
        row, column = divmod(int(heatmap.argmax()), width)
        if heatmap[row, column] <= THRESHOLD:
            found.append(None)
            continue
        x, y = _refined(heatmap, column, row)
        found.append((left + x * across, top + y * down))
    return found


def _refined(heatmap: Floats, column: int, row: int) -> Point:
    logs = np.log(np.clip(_blurred(heatmap), LEAST, MOST))
    # What is around the peak, with the edge going on beyond the heatmap.
    around = np.pad(logs, 1, "edge")[row : row + 3, column : column + 3].astype(np.float64)
    middle = around[1, 1]
    slope = np.array((around[1, 2] - around[1, 0], around[2, 1] - around[0, 1])) / 2
    xx = around[1, 2] - 2 * middle + around[1, 0]
    yy = around[2, 1] - 2 * middle + around[0, 1]
    forward = around[2, 2] - around[1, 2] - around[2, 1] + middle
    back = middle - around[1, 0] - around[0, 1] + around[0, 0]
    xy = (forward + back) / 2
    curvature = np.array(((xx, xy), (xy, yy)))
    curvature += np.finfo(np.float32).eps * np.eye(2)
    determinant = curvature[0, 0] * curvature[1, 1] - curvature[0, 1] * curvature[1, 0]
    if determinant == 0:
        return float(column), float(row)
    x = (curvature[1, 1] * slope[0] - curvature[0, 1] * slope[1]) / determinant
    y = (curvature[0, 0] * slope[1] - curvature[1, 0] * slope[0]) / determinant
    # A peak that is further away is none of this pixel's.
    return (column - x, row - y) if max(abs(x), abs(y)) <= 1 else (float(column), float(row))


def _blurred(heatmap: Floats) -> Floats:
    """By a Gaussian, as scipy's gaussian_filter does it: mirrored at the edges."""
    weights = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    weights /= weights.sum()
    wide = np.pad(heatmap.astype(np.float64), RADIUS, "symmetric")
    height, width = heatmap.shape
    rows = sum(w * wide[n : n + height] for n, w in enumerate(weights))
    return np.asarray(sum(w * rows[:, n : n + width] for n, w in enumerate(weights)), np.float32)


def _fill_buffers(module: Any, found: Mapping[str, torch.Tensor], subject: Subject) -> None:
    """Give batch normalisation what it counted, which the network keeps beside its parameters."""
    for name, buffer in module.named_buffers():
        if name.rpartition(".")[2] not in _COUNTED:
            continue
        if name not in found:
            raise subject.failed("pose.incomplete", part=f"{NAME} ({name})")
        if found[name].shape != buffer.shape:
            shapes = f"{tuple(found[name].shape)} instead of {tuple(buffer.shape)}"
            raise subject.failed("pose.unreadable", reason=f"{NAME}.{name}: {shapes}")
        buffer.copy_(found[name])


def _configuration(files: Source, subject: Subject) -> Any:
    stated = json.loads((files.root / CONFIG).read_text(encoding="utf-8"))
    model = known(NAME, stated, _MODEL, subject)
    backbone = known(f"{NAME}.backbone_config", stated.get("backbone_config"), _BACKBONE, subject)
    own = {name: value for name, value in model.items() if name not in _OPTIONS}
    labels = len(model.get("id2label", range(POINTS)))
    return VitPoseConfig(
        **own, backbone_config=VitPoseBackboneConfig(**backbone), num_labels=labels
    )


def _all_of(picture: PIL.Image.Image) -> Box:
    return Box(0, 0, *picture.size)


def _parts(person: Person) -> int:
    """How many of its points are seen."""
    return sum(point is not None for point in person)


def _named(name: str) -> str:
    """A tensor's name in a file, as the module has it."""
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return name
