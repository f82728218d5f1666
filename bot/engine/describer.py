"""What is in an image, in words, by Florence-2 (arXiv 2311.06242). Imports torch.

DaViT for the image and BART for the words (transformers' Florence2ForConditionalGeneration). Files
come from strangers: their configuration is checked, and of the tokenizer only its words and merges
are read.

Two layouts are read. One is transformers' own. The other is that of the code which the first files
were published with and which fine-tunes still have: that code is never run. Its tensors are the
same ones under other names (transformers' convert_florence2_original_pytorch_to_hf.py), and so are
the values of its configuration.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import PIL.Image
import torch
from transformers import (
    BartConfig,
    BartTokenizer,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
    StoppingCriteriaList,
)
from transformers.modeling_outputs import BaseModelOutput

from bot.engine import networks, pixels
from bot.engine.building import without_weights
from bot.engine.configurations import (
    ABSENT,
    Kind,
    either,
    exactly,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.controls import check_headers
from bot.engine.environment import Place, is_the_devices
from bot.engine.hashing import HashCache
from bot.engine.memory import Profile
from bot.engine.recipes import digest_of
from bot.engine.residency import Resident
from bot.engine.selecting import TOKENIZER
from bot.engine.sources import Source, Sources
from bot.engine.subject import Subject, public
from bot.engine.weights import Formats, Layout
from bot.errors import ImagenError
from bot.order import Order
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.recipe import Recipe, Weights
from bot.request import WORDS_MAX
from catalog.weight_files.pipeline import NETWORK as CONFIG

log = logging.getLogger(__name__)

NAME: Final = "describer"
SIDE: Final = 768
"""Pixels per side of the image as it sees it; the projector has learned where its parts lie there
(preprocessor_config.json of microsoft/Florence-2-base)."""
MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION: Final = np.array((0.229, 0.224, 0.225), np.float32)
"""ImageNet's colours, from 0 to 1, which it was trained with."""
ASKED: Final[Mapping[str, str]] = {
    "short": "What does the image describe?",
    "detailed": "Describe in detail what is shown in the image.",
    "long": "Describe with a paragraph what is shown in the image.",
}
"""By the style, what it was trained to answer (transformers' Florence2Processor)."""
TOKENS_MAX: Final[Mapping[str, int]] = {"short": 64, "detailed": 192, "long": 384, "tags": 384}
"""How much it may write; a word has one to three tokens."""
BEAMS: Final = 3
NO_REPEAT: Final = 3
"""As its authors have it generate (generation_config.json of microsoft/Florence-2-base)."""

_SIZE: Final = whole(1, 16_384)
_LAYERS: Final = whole(1, 64)
_SHARE: Final = number(0, 1)
_TRUTH: Final = one_of(True, False)
_STAGES: Final = 4
_TOKEN: Final = whole(0, 1_000_000)
_MODEL: Final = Kind(
    ("Florence2ForConditionalGeneration",),
    {"model_type": one_of("florence2")},
)
_EYE: Final = Kind(
    ("Florence2VisionBackbone",),
    {
        "model_type": one_of("florence_vision"),
        "in_channels": one_of(3),
        "depths": exactly(_LAYERS, _STAGES),
        "patch_size": exactly(whole(1, 64), _STAGES),
        "patch_stride": exactly(whole(1, 64), _STAGES),
        "patch_padding": exactly(whole(0, 64), _STAGES),
        "patch_prenorm": exactly(_TRUTH, _STAGES),
        "embed_dim": exactly(_SIZE, _STAGES),
        "num_heads": exactly(whole(1, 256), _STAGES),
        "num_groups": exactly(whole(1, 256), _STAGES),
        "window_size": whole(1, 64),
        "mlp_ratio": number(1, 16),
        "qkv_bias": _TRUTH,
        "activation_function": one_of("gelu"),
        "projection_dim": _SIZE,
        "max_temporal_embeddings": whole(1, 1_000),
        "max_position_embeddings": whole(1, 1_000),
    },
)
_WRITER: Final = Kind(
    ("BartForConditionalGeneration", "BartModel", "Florence2LanguageForConditionalGeneration"),
    {
        "model_type": one_of("bart"),
        "vocab_size": whole(8, 1_000_000),
        "max_position_embeddings": whole(8, 65_536),
        "d_model": _SIZE,
        "encoder_layers": _LAYERS,
        "encoder_ffn_dim": whole(1, 65_536),
        "encoder_attention_heads": whole(1, 256),
        "decoder_layers": _LAYERS,
        "decoder_ffn_dim": whole(1, 65_536),
        "decoder_attention_heads": whole(1, 256),
        "activation_function": one_of("gelu"),
        "scale_embedding": _TRUTH,
        "pad_token_id": _TOKEN,
        "bos_token_id": _TOKEN,
        "eos_token_id": _TOKEN,
        "decoder_start_token_id": _TOKEN,
        "forced_bos_token_id": either(_TOKEN, ABSENT),
        "forced_eos_token_id": either(_TOKEN, ABSENT),
    },
)
_POSITIONS: Final = Kind(
    (), {"type": one_of("learned_abs_2d"), "max_pos_embeddings": whole(1, 1_000)}
)
_TIMES: Final = Kind((), {"type": one_of("COSINE"), "max_temporal_embeddings": whole(1, 1_000)})
_FEATURES: Final = one_of(["spatial_avg_pool", "temporal_avg_pool"])
_FORMER: Final = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"^(vision_tower\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\.(conv[12])\.(weight|bias)$", r".\1.fn.dw.\2"),
    (r"\.(window_attn|channel_attn)\.(qkv|proj)\.", r".\1.fn.\2."),
    (r"\.spatial_block\.norm1\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.norm1\.", ".channel_block.channel_attn.norm."),
    (r"(_block)\.norm2\.", r"\1.ffn.norm."),
    (r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1."),
)
"""What the first files call the tensors of transformers' module."""
_TURNED: Final = "image_projection"
"""A matrix that is multiplied from the other side there."""
_TIED: Final = ("language_model.encoder.embed_tokens", "language_model.decoder.embed_tokens")
_SHARED: Final = "language_model.shared.weight"
"""Within `model`: what embeds tokens, which is one matrix, and the head's as well. Files have it
once or several times."""
_COPIES: Final = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
_SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
"""What its tokenizer has to have."""


class Describer:
    """Reads the network that describes images for each job, and lets go of it. Runs in the engine's
    thread only.

    On a GPU it is there only while it is at work.
    """

    def __init__(self, place: Place, sources: Sources, hashes: HashCache) -> None:
        self._place = place
        self._sources = sources
        self._hashes = hashes

    def described(
        self,
        order: Order,
        profile: Profile,
        resident: Resident | None,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
    ) -> Painting | None:
        """The words for the image of an order; None if it asks for none.

        The same order gives the same words, whatever was generated before it. resident: the model,
        networks of which may be on the device, and make room there. Raises JobFailed, or what
        `check_stop` raises, between two words.
        """
        asked, entry = order.request.describe, order.describer
        if asked is None or entry is None:
            return None
        subject = Subject("describer", public(entry.path), report, check_stop)
        image = pixels.decoded(order.pictures[asked.sha256])
        files = self._sources.describer(entry, subject)
        check_headers(files, subject)
        sha256 = digest_of(files, subject, self._hashes)
        question = ASKED.get(asked.style) or entry.tags or ""
        with _used(files, subject):
            writer = Writer.read(files, self._place.dtype, subject)
            if resident is not None and profile not in (Profile.FULL, Profile.GB16):
                resident.park(*resident.family.networks)
            try:
                writer.module.to(self._place.device)
                words = writer.words(
                    image, question, TOKENS_MAX[asked.style], self._place.device, subject
                )
            finally:
                del writer
                self._place.empty_cache()
        if not words:
            raise subject.failed("describer.unreadable", reason="it finds no words")
        recipe = Recipe(
            request=order.request,
            checkpoint=None,
            environment={
                **self._place.describe(),
                "describer_dtype": str(self._place.dtype).removeprefix("torch."),
            },
            describer=Weights(subject.key, sha256, sha256[:10]),
        )
        return Painting((), recipe, (), words)


class Writer:
    """The network with its weights, and its tokenizer."""

    def __init__(self, module: Any, tokenizer: Any) -> None:
        self.module = module
        self.tokenizer = tokenizer

    @classmethod
    def read(cls, files: Source, dtype: torch.dtype, subject: Subject) -> "Writer":
        """In RAM. Raises JobFailed, OSError, and whatever a bad file makes torch raise."""
        subject.tick(Stage.LOADING, 0.0)
        config = _configuration(files, subject)
        tokenizer = _tokenizer(files, config.text_config.vocab_size, subject)
        with without_weights():
            module: Any = Florence2ForConditionalGeneration(config).eval()
        layout = Layout.of(module, Formats(dtype))
        stored = networks.stored(files.weights)
        found = {name: _tensor(stored, name) for name in layout.slots}
        fit = networks.fitting(
            NAME, {name: each for name, each in found.items() if each is not None}, layout, subject
        )
        for name, tensor in fit.items():
            subject.check_stop()
            if _is_tied(name):
                continue
            owner, _, last = name.rpartition(".")
            # A copy, so that nothing is read from the file once it is at work.
            weight = tensor.to(dtype, copy=True).contiguous()
            setattr(
                module.get_submodule(owner), last, torch.nn.Parameter(weight, requires_grad=False)
            )
        module.lm_head.weight = shared = module.model.get_parameter(_SHARED)
        for path in _TIED:
            module.model.get_submodule(path).weight = shared
        times = module.model.multi_modal_projector.visual_temporal_embed
        times.pos_idx_to_embed = times.pos_idx_to_embed.to(dtype)
        return cls(module, tokenizer)

    @torch.inference_mode()
    def words(
        self, image: PIL.Image.Image, question: str, most: int, device: str, subject: Subject
    ) -> str:
        """What it answers about `image`, RGB, in one line of at most WORDS_MAX characters. most:
        tokens. Raises what `subject.check_stop` raises."""
        model, text = self.module.model, self.module.config.text_config
        dtype = self.module.lm_head.weight.dtype
        seen = torch.from_numpy(shown(image)).to(device, dtype)
        ids = self.tokenizer.encode(question, add_special_tokens=False)
        asked = torch.tensor([[text.bos_token_id, *ids, text.eos_token_id]], device=device)
        # As its processor does, which puts a token before the question for each part of the image.
        parts = model.get_image_features(seen).pooler_output
        states = torch.cat([parts, model.get_input_embeddings()(asked)], dim=1)
        mask = torch.ones(states.shape[:2], dtype=torch.long, device=device)
        encoded = model.language_model.encoder(inputs_embeds=states, attention_mask=mask)
        subject.check_stop()

        def heard(written: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
            subject.check_stop()
            subject.report(Progress(Stage.DESCRIBING, step=written.shape[1] - 1, steps=most))
            return torch.zeros(len(written), dtype=torch.bool, device=written.device)

        told = self.module.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded[0]),
            attention_mask=mask,
            generation_config=GenerationConfig(
                do_sample=False,
                num_beams=BEAMS,
                early_stopping=True,
                no_repeat_ngram_size=NO_REPEAT,
                max_new_tokens=most,
                bos_token_id=text.bos_token_id,
                pad_token_id=text.pad_token_id,
                eos_token_id=text.eos_token_id,
                decoder_start_token_id=text.decoder_start_token_id,
                forced_bos_token_id=text.bos_token_id,
                forced_eos_token_id=text.eos_token_id,
            ),
            stopping_criteria=StoppingCriteriaList([heard]),
        )
        own = self.tokenizer.vocab_size
        ids = [n for n in told[0].cpu().tolist() if n < own]
        return in_one_line(self.tokenizer.decode(ids, skip_special_tokens=True))


def in_one_line(text: str) -> str:
    """Only what can be shown, with single spaces, cut at a word."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= WORDS_MAX else line[: WORDS_MAX + 1].rpartition(" ")[0]


def shown(image: PIL.Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`image`, RGB, as the network takes it: (1, 3, SIDE, SIDE), float32. Its ratio is not kept, as
    it was not in training."""
    scaled = np.asarray(image.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC), np.float32)
    normal = (scaled / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


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
        log.warning("The describer %s cannot be used", subject.key, exc_info=True)
        raise subject.failed("describer.unreadable", reason=type(error).__name__) from error


def _tensor(stored: Mapping[str, torch.Tensor], name: str) -> torch.Tensor | None:
    """The tensor that the module calls `name`, in either layout; None if there is none."""
    if name in stored:
        return stored[name]
    former = name
    for now, then in _FORMER:
        former = re.sub(now, then, former)
    found = stored.get(former)
    if found is None and (_is_tied(name) or name == f"model.{_SHARED}"):
        prefixes = ("model.language_model.", "language_model.model.")
        same = [f"{prefix}{each}" for prefix in prefixes for each in _COPIES]
        return next((stored[each] for each in same if each in stored), None)
    return found.T if former == _TURNED and found is not None else found


def _is_tied(name: str) -> bool:
    """Whether it is another name of the shared matrix."""
    return name == "lm_head.weight" or name in {f"model.{path}.weight" for path in _TIED}


def _tokenizer(files: Source, most: int, subject: Subject) -> Any:
    """most: how many tokens the network knows."""
    stated = json.loads((files.root / TOKENIZER).read_text(encoding="utf-8"))
    model = stated["model"] if isinstance(stated, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise subject.failed("describer.unreadable", reason=f"{TOKENIZER} is not of BART's kind")
    words = {str(word): int(n) for word, n in model["vocab"].items()}
    missing = [word for word in _SPECIAL if word not in words]
    if missing or not all(0 <= n < most for n in words.values()):
        said = f"{TOKENIZER} has {len(words)} tokens, the network knows {most}"
        reason = f"{TOKENIZER} lacks {missing[0]}" if missing else said
        raise subject.failed("describer.unreadable", reason=reason)
    pairs = [each.split(" ") if isinstance(each, str) else each for each in model["merges"]]
    merges = [(str(one), str(other)) for one, other in pairs]
    return BartTokenizer(vocab=words, merges=merges)


def _configuration(files: Source, subject: Subject) -> Any:
    stated = json.loads((files.root / CONFIG).read_text(encoding="utf-8"))
    if isinstance(stated, dict) and _is_former(stated):
        stated = _as_now(stated, subject)
    if not isinstance(stated, dict) or stated.get("model_type") != "florence2":
        raise subject.failed("describer.other")
    known(NAME, stated, _MODEL, subject)
    eye = known(f"{NAME}.vision_config", stated.get("vision_config"), _EYE, subject)
    writer = known(f"{NAME}.text_config", stated.get("text_config"), _WRITER, subject)
    eye.pop("model_type", None)
    writer.pop("model_type", None)
    return Florence2Config(
        vision_config={**eye, "model_type": "florence_vision", "drop_path_rate": 0.0},
        text_config=BartConfig(**writer),
    )


def _is_former(stated: Mapping[str, Any]) -> bool:
    """Whether it is of the first files' layout: its eye has other names for its fields."""
    eye = stated.get("vision_config")
    return isinstance(eye, dict) and "dim_embed" in eye


def _as_now(stated: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The configuration of the first files as transformers has it. That it names code to run is
    passed over, as none is. Raises JobFailed where it could not mean the same."""
    eye = dict(stated["vision_config"])
    places = known(f"{NAME}.image_pos_embed", eye.pop("image_pos_embed", None), _POSITIONS, subject)
    times = known(
        f"{NAME}.visual_temporal_embedding",
        eye.pop("visual_temporal_embedding", None),
        _TIMES,
        subject,
    )
    pooled = {"image_feature_source": eye.pop("image_feature_source", None)}
    known(NAME, pooled, Kind((), {"image_feature_source": _FEATURES}), subject)
    text = stated.get("text_config")
    return {
        "model_type": "florence2",
        "architectures": stated.get("architectures"),
        "vision_config": {
            **eye,
            "model_type": "florence_vision",
            "architectures": None,
            "embed_dim": eye.get("dim_embed"),
            "max_position_embeddings": places["max_pos_embeddings"],
            "max_temporal_embeddings": times["max_temporal_embeddings"],
        },
        "text_config": {**text, "model_type": "bart"} if isinstance(text, dict) else text,
    }
