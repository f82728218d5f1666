"""Where in an image is what a word names, by Grounding DINO (arXiv 2303.05499). Imports torch.

A Swin transformer for the image and BERT for the words (transformers'
GroundingDinoForObjectDetection). Files come from strangers: their configuration is checked, and of
the tokenizer's only its words are read.
"""

import json
import logging
import math
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import PIL.Image
import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SwinConfig,
)

from bot.engine import networks
from bot.engine.building import without_weights
from bot.engine.configurations import ABSENT, Field, Kind, each, known, number, one_of, whole
from bot.engine.environment import Place, is_the_devices
from bot.engine.selecting import VOCABULARY
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import FileTensors, Formats, Part, PristineWeights
from bot.errors import ImagenError
from bot.progress import Stage
from bot.request import REGIONS_MAX
from bot.request.parts import Box
from catalog.weight_files.pipeline import NETWORK as CONFIG

log = logging.getLogger(__name__)

NAME: Final = "detector"
DTYPE: Final = torch.float32
"""Of the network, on every device: boxes near the threshold must not come and go."""
THRESHOLD: Final = 0.35
"""How sure it has to be; as its authors show it (README.md of IDEA-Research/GroundingDINO)."""
OVERLAP: Final = 0.5
"""Of two boxes that share more of their union, only the surer one counts."""
SHORT_SIDE, LONG_SIDE = 800, 1333
"""Pixels of the image as it sees it, as GroundingDinoImageProcessor has it."""
MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION: Final = np.array((0.229, 0.224, 0.225), np.float32)
"""ImageNet's colours, from 0 to 1, which it was trained with."""

Scored = tuple[float, Box]
"""How sure it is of a box, from 0 to 1, and that box, in pixels of the image."""

_SIZE: Final = whole(1, 16_384)
_SHARE: Final = number(0, 1)
_LAYERS: Final = whole(1, 64)
_TRUTH: Final = one_of(True, False)
_STAGE: Final = Field(
    "stage1 to stage16",
    lambda value: isinstance(value, str) and re.fullmatch(r"stage\d{1,2}", value) is not None,
)
_MODEL: Final = Kind(
    ("GroundingDinoForObjectDetection",),
    {
        "model_type": one_of("grounding-dino"),
        "backbone": ABSENT,
        "backbone_kwargs": one_of(None, {}),
        "use_timm_backbone": one_of(False, None),
        "use_pretrained_backbone": one_of(False, None),
        "num_queries": whole(1, 2_000),
        "encoder_layers": _LAYERS,
        "encoder_ffn_dim": whole(1, 65_536),
        "encoder_attention_heads": whole(1, 256),
        "decoder_layers": _LAYERS,
        "decoder_ffn_dim": whole(1, 65_536),
        "decoder_attention_heads": whole(1, 256),
        "activation_function": one_of("relu", "gelu"),
        "d_model": _SIZE,
        "position_embedding_type": one_of("sine"),
        "num_feature_levels": whole(1, 8),
        "encoder_n_points": whole(1, 64),
        "decoder_n_points": whole(1, 64),
        "two_stage": one_of(True),
        "max_text_len": whole(8, 512),
        "embedding_init_target": _TRUTH,
        "query_dim": one_of(4),
        "decoder_bbox_embed_share": _TRUTH,
        "two_stage_bbox_embed_share": one_of(False),
        "positional_embedding_temperature": whole(1, 100_000),
        "layer_norm_eps": _SHARE,
    },
)
_OPTIONS: Final = ("backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone")
"""Fields that would fetch a network from elsewhere, and say nothing here."""
_EYE: Final = Kind(
    ("SwinModel", "SwinBackbone", "SwinForImageClassification"),
    {
        "model_type": one_of("swin"),
        "image_size": whole(1, 2_048),
        "patch_size": whole(1, 64),
        "num_channels": one_of(3),
        "embed_dim": _SIZE,
        "depths": each(_LAYERS, 8),
        "num_heads": each(whole(1, 256), 8),
        "window_size": whole(1, 64),
        "mlp_ratio": number(1, 16),
        "qkv_bias": _TRUTH,
        "hidden_act": one_of("gelu"),
        "use_absolute_embeddings": one_of(False),
        "layer_norm_eps": _SHARE,
        "out_indices": each(whole(1, 16), 8),
        "out_features": each(_STAGE, 8),
    },
)
_READER: Final = Kind(
    ("BertModel", "BertForMaskedLM", "BertForPreTraining"),
    {
        "model_type": one_of("bert"),
        "vocab_size": whole(1, 1_000_000),
        "hidden_size": _SIZE,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": whole(1, 256),
        "intermediate_size": whole(1, 65_536),
        "hidden_act": one_of("gelu"),
        "max_position_embeddings": whole(8, 8_192),
        "type_vocab_size": whole(1, 16),
        "layer_norm_eps": _SHARE,
        "pad_token_id": whole(0, 1_000_000),
    },
)
_FORMER: Final = (
    (r"\.conv_encoder\.model\.swin\.", ".conv_encoder.model."),
    (r"(\.blocks\.\d+\.attention)\.q_proj\.", r"\1.self.query."),
    (r"(\.blocks\.\d+\.attention)\.k_proj\.", r"\1.self.key."),
    (r"(\.blocks\.\d+\.attention)\.v_proj\.", r"\1.self.value."),
    (r"(\.blocks\.\d+\.attention)\.o_proj\.", r"\1.output.dense."),
    (r"\.attention\.relative_position_bias\.", ".attention.self."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)
"""What files call the tensors that transformers' module calls otherwise since version 5."""
_NEEDED: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".")
"""What its words have to include."""
_BOXES: Final = re.compile(r"model\.decoder\.bbox_embed\.")
"""A network that the decoder has as well: the same."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A network that finds things, for one job. words: BERT's tokenizer."""

    part: Part
    words: Any
    place: Place
    files: Source
    subject: Subject

    def found(self, image: PIL.Image.Image, words: Sequence[str]) -> tuple[tuple[str, Box], ...]:
        """Where in `image`, RGB, the things are that `words` name, word by word, each from the left
        to the right: those found most surely, up to REGIONS_MAX.

        Raises JobFailed, or what `check_stop` raises.
        """
        with _used(self.files, self.subject):
            self.part.wake(self.subject.check_stop)
            try:
                scored = [
                    (score, word, box) for word in words for score, box in self.boxes(image, word)
                ]
            finally:
                self.part.park()
                self.place.empty_cache()
        kept = sorted(scored, key=lambda each: (-each[0], words.index(each[1]), _place(each[2])))
        chosen = ((word, box) for _, word, box in kept[:REGIONS_MAX])
        return tuple(sorted(chosen, key=lambda each: (words.index(each[0]), _place(each[1]))))

    def boxes(self, image: PIL.Image.Image, word: str) -> list[Scored]:
        """The boxes of one word, the surest first, each once. The network is awake."""
        text = self.words([f"{word.lower()}."], return_tensors="pt")
        seen = torch.from_numpy(shown(image))
        device = self.place.device
        with torch.inference_mode():
            told = self.part.module(
                pixel_values=seen.to(device),
                input_ids=text["input_ids"].to(device),
                token_type_ids=text["token_type_ids"].to(device),
                attention_mask=text["attention_mask"].to(device),
            )
        scores = told.logits[0].sigmoid().amax(-1).float().cpu().numpy()
        boxes = told.pred_boxes[0].float().cpu().numpy()
        if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
            raise self.subject.failed("detector.unreadable", reason="what it tells is not finite")
        sure = [
            (float(score), box)
            for score, middle in zip(scores, boxes, strict=True)
            if score > THRESHOLD and (box := _in_pixels(middle, image.size)) is not None
        ]
        return _without_overlaps(sorted(sure, key=lambda each: (-each[0], _place(each[1]))))


class Detector:
    """Reads the network that finds things. Runs in the engine's thread only."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def ready(self, files: Source, subject: Subject) -> Finder:
        """For one job; nothing of it is on the device yet. Raises JobFailed."""
        subject.tick(Stage.LOADING, 0.0)
        with _used(files, subject):
            config = _configuration(files, subject)
            words = _tokenizer(files, config.text_config.vocab_size, subject)
            with without_weights():
                module = GroundingDinoForObjectDetection(config).eval()
            part = Part(module, Formats(DTYPE), self._place.device)
            stored = networks.stored(files.weights)
            shared = config.decoder_bbox_embed_share
            named = {name: _name_in(stored, name, shared=shared) for name in part.layout.slots}
            own = {name: stored[theirs] for name, theirs in named.items() if theirs in stored}
            found = FileTensors(own, stored.files)
            tensors = networks.fitting(NAME, found, part.layout, subject)
            # Not cached: it is read once for each job, and most have none.
            part.hold(PristineWeights("", part.layout, None, tensors))
        return Finder(part, words, self._place, files, subject)


@contextmanager
def _used(files: Source, subject: Subject) -> Iterator[None]:
    """Whatever goes wrong in the block is the files' fault, unless it is the device's. Raises
    JobFailed for it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise subject.unread(files.root, error) from error
        log.warning("The detector %s cannot be used", subject.key, exc_info=True)
        raise subject.failed("detector.unreadable", reason=type(error).__name__) from error


def shown(image: PIL.Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`image`, RGB, as the network takes it: (1, 3, height, width), float32."""
    low, high = sorted(image.size)
    short, exact = SHORT_SIDE, float(SHORT_SIDE)
    if high / low * short > LONG_SIDE:
        exact = LONG_SIDE * low / high
        short = round(exact)
    # As transformers rounds it.
    long = high if low == short else int(exact * high / low)
    size = (max(short, 1), long) if image.width <= image.height else (long, max(short, 1))
    scaled = np.asarray(image.resize(size, PIL.Image.Resampling.BILINEAR), np.float32)
    normal = (scaled / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def _in_pixels(middle: Any, size: tuple[int, int]) -> Box | None:
    """A box given by its middle and sides, as shares of an image of `size`, in whole pixels; None
    if nothing of it is in the image."""
    across, down, width, height = (float(value) for value in middle)
    left, right = (across - width / 2) * size[0], (across + width / 2) * size[0]
    top, bottom = (down - height / 2) * size[1], (down + height / 2) * size[1]
    left, top = max(math.floor(left), 0), max(math.floor(top), 0)
    right, bottom = min(math.ceil(right), size[0]), min(math.ceil(bottom), size[1])
    if left >= right or top >= bottom:
        return None
    return Box(int(left), int(top), int(right - left), int(bottom - top))


def _without_overlaps(scored: Sequence[Scored]) -> list[Scored]:
    """Non-maximum suppression: of boxes that are nearly the same, the first."""
    kept: list[Scored] = []
    for score, box in scored:
        if all(_shared(box, other) <= OVERLAP for _, other in kept):
            kept.append((score, box))
    return kept


def _shared(one: Box, other: Box) -> float:
    """How much of their union two boxes have in common."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(0, across) * max(0, down)
    return both / (one.width * one.height + other.width * other.height - both)


def _place(box: Box) -> tuple[int, int, int, int]:
    """What boxes are sorted by."""
    return box.left, box.top, box.width, box.height


def _tokenizer(files: Source, most: int, subject: Subject) -> Any:
    """most: how many words the network knows."""
    lines = (files.root / VOCABULARY).read_text(encoding="utf-8").split("\n")
    words = {line.rstrip("\r"): n for n, line in enumerate(lines) if line}
    missing = [word for word in _NEEDED if words.get(word, most) >= most]
    if missing or len(lines) - 1 > most:
        said = f"{VOCABULARY} has {len(words)} words, the network knows {most}"
        reason = f"{VOCABULARY} lacks {missing[0]}" if missing else said
        raise subject.failed("detector.unreadable", reason=reason)
    return BertTokenizer(vocab=words)


def _configuration(files: Source, subject: Subject) -> Any:
    stated = json.loads((files.root / CONFIG).read_text(encoding="utf-8"))
    model = known(NAME, stated, _MODEL, subject)
    eye = known(f"{NAME}.backbone_config", stated.get("backbone_config"), _EYE, subject)
    reader = known(f"{NAME}.text_config", stated.get("text_config"), _READER, subject)
    own = {name: value for name, value in model.items() if name not in _OPTIONS}
    return GroundingDinoConfig(
        **own,
        backbone_config=SwinConfig(**eye),
        text_config=BertConfig(**reader),
        disable_custom_kernels=True,
    )


def _name_in(stored: Collection[str], name: str, *, shared: bool) -> str:
    """What a file calls the tensor `name` of the module: that, its former name, or the name of
    what is the same. shared: whether all layers of the decoder have one network for boxes."""
    former = name
    for now, then in _FORMER:
        former = re.sub(now, then, former)
    alone = name.removeprefix("model.decoder.") if _BOXES.match(name) else name
    first = re.sub(r"^bbox_embed\.\d+\.", "bbox_embed.0.", alone) if shared else alone
    called = (name, former, alone, first, f"model.decoder.{first}")
    return next((each for each in called if each in stored), name)
