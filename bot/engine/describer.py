"""What is in an image, in words, by Florence-2 (arXiv 2311.06242). Imports torch.

DaViT for the image and BART for the words (transformers' Florence2ForConditionalGeneration). Files
come from strangers: their configuration is checked, and of the tokenizer only its words and merges
are read.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import PIL.Image
import torch
from transformers import (
    Florence2ForConditionalGeneration,
    GenerationConfig,
    StoppingCriteriaList,
)
from transformers.modeling_outputs import BaseModelOutput

from bot.engine import networks, pixels
from bot.engine.building import without_weights
from bot.engine.controls import check_headers
from bot.engine.environment import Place, is_the_devices
from bot.engine.florence2 import (
    NAME,
    SHARED,
    TIED,
    configuration_of,
    is_tied,
    tensor_of,
    tokenizer_of,
)
from bot.engine.hashing import HashCache
from bot.engine.memory import Profile
from bot.engine.recipes import digest_of
from bot.engine.residency import Resident
from bot.engine.sources import Source, Sources
from bot.engine.subject import Subject, public
from bot.engine.weights import Formats, Layout
from bot.errors import ImagenError
from bot.order import Order
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.recipe import Recipe, Weights
from bot.request import WORDS_MAX

log = logging.getLogger(__name__)

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
        config = configuration_of(files, subject)
        tokenizer = tokenizer_of(files, config.text_config.vocab_size, subject)
        with without_weights():
            module: Any = Florence2ForConditionalGeneration(config).eval()
        layout = Layout.of(module, Formats(dtype))
        stored = networks.stored(files.weights)
        found = {name: tensor_of(stored, name) for name in layout.slots}
        fit = networks.fitting(
            NAME, {name: each for name, each in found.items() if each is not None}, layout, subject
        )
        for name, tensor in fit.items():
            subject.check_stop()
            if is_tied(name):
                continue
            owner, _, last = name.rpartition(".")
            # A copy, so that nothing is read from the file once it is at work.
            weight = tensor.to(dtype, copy=True).contiguous()
            setattr(
                module.get_submodule(owner), last, torch.nn.Parameter(weight, requires_grad=False)
            )
        module.lm_head.weight = shared = module.model.get_parameter(SHARED)
        for path in TIED:
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
