"""GenerationRequest: everything a generated image depends on, except the weights on disk."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self, cast

from bot.request import emphasis
from bot.request.differences import changed, changes
from bot.request.editing import Editing, Turn, turns
from bot.request.parts import (
    PIXEL_STEP,
    SEED_AXIS,
    SEED_MAX,
    AdapterUse,
    Axis,
    ControlUse,
    Describe,
    DetailUse,
    DrawnPrompts,
    EmbeddingUse,
    Hires,
    InitImage,
    Reference,
    Template,
    Upscale,
    upscaled,
)
from bot.request.variation import Mix, Variation, check_length, variation_text

DRAFT: Final = "draft"
FAST: Final = "fast"
PRESETS: Final = (DRAFT, FAST)
DESCRIBER: Final = "[describer]"
"""Stands for what describes images, among catalog keys, none of which is like it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sheet of images that differ in one or two things.

    axes: what varies from column to column, then what varies from row to row, if anything does.
    cells: row by row, each a request of its own for a single image.
    """

    axes: tuple[Axis, ...]
    cells: tuple["GenerationRequest", ...] = field(repr=False)

    @property
    def columns(self) -> int:
        return len(self.axes[0].values)

    @property
    def rows(self) -> int:
        return len(self.cells) // self.columns

    def with_seed(self, before: int, seed: int) -> Self:
        """The same with `seed` where `before` was; other seeds are moved by as much."""
        cells = tuple(
            cell.with_seed((cell.seed - before + seed) % (SEED_MAX + 1)) for cell in self.cells
        )
        axes = []
        for number, axis in enumerate(self.axes):
            if axis.name == SEED_AXIS:
                step = self.columns if number else 1
                seeds = cells[: step * len(axis.values) : step]
                axis = replace(axis, values=tuple(str(cell.base_seed) for cell in seeds))
            axes.append(axis)
        return replace(self, axes=tuple(axes), cells=cells)

    def bare(self) -> Self:
        """The same, each cell without what changes no image."""
        return replace(self, cells=tuple(cell.bare() for cell in self.cells))

    def with_kernels(self, kernels: str | None) -> Self:
        """The same, each cell with the kernels that it names itself, or else with these."""
        cells = tuple(cell.with_kernels(cell.kernels or kernels) for cell in self.cells)
        return replace(self, cells=cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A validated request in which every default is already resolved.

    Generating it again gives the same image even if the catalog has changed: trigger words, the
    negative prompt, the scheduler and the seed are stored here, not looked up again.

    prompt: as the user wrote it, without `<lora:…>` tags; drawn if there is a template.
    model: key of the checkpoint; "" if none is needed, which only a CRISP upscale, a map and a
        description have.
    trigger_words: words of the adapters that the prompt lacked; see `painted_prompt`.
    seed: of the first image, 0 … SEED_MAX; image n uses `image_seed(n)`. Of a variation, it is what
        is mixed in last, while all images vary the same one; see `base_seed`.
    scheduler: an AUTOMATIC1111 sampler name, one of `catalog.SCHEDULERS`.
    clip_skip: counted as in AUTOMATIC1111, the last layer is 1; None is the family's own.
    preset: which of PRESETS filled in options the user omitted; its values are stored here too.
    spacing: AYS, or None for the scheduler's own timesteps.
    hires, init_image, reference: None if not requested.
    controls: the images that ControlNets make it follow.
    detail: what of each finished image is found and painted again.
    tile: whether opposite edges of the images meet, so that they can be laid side by side.
    pictures: sha256 of the images to edit, in the order in which the prompt may count them.
    kernels: "eager" or "compiled", whichever generated the image that this repeats; None: either.
    environment: where the image was generated that this repeats, see
        `bot.recipe.place_id`; rather there than elsewhere. None: anywhere.
    embeddings: of both prompts, so that later ones of the same names change nothing.
    template: what the prompts were drawn from; None if they are as typed. They were drawn when it
    was asked for, so wildcard files that change later change nothing.
    others: the texts of the second image and those after it; empty if they have the first one's,
    which are the request's own. See `alone`.
    edits: whether `[from:to:when]` and `[a|b]` in the prompts change them while the image is
        generated; in requests of earlier versions they are words in brackets.
    escapes: whether the model reads brackets as words and so no backslash before one; in requests
        of earlier versions it reads that, too.
    comparison: the cells to generate instead of one image; the other fields are then those of the
        first cell, and only shown.
    upscale: the image to enlarge; width and height are then its own.
    describe: the image to describe; width and height are then its own, and the result is words.
    added: what places and models, rather than a person, have put into the negative prompts, as it
        was then; of a comparison, into those of its cells.
    variation: what the images are variations of; None if their noise is that of `seed` alone.
    """

    prompt: str = field(repr=False)
    negative: str = field(repr=False)
    model: str
    adapters: tuple[AdapterUse, ...] = ()
    trigger_words: tuple[str, ...] = ()
    steps: int
    guidance: float
    seed: int
    width: int
    height: int
    count: int = 1
    scheduler: str
    clip_skip: int | None = None
    preset: str | None = None
    spacing: str | None = None
    hires: Hires | None = None
    init_image: InitImage | None = None
    reference: Reference | None = None
    kernels: str | None = None
    environment: str | None = None
    embeddings: tuple[EmbeddingUse, ...] = ()
    template: Template | None = None
    others: tuple[DrawnPrompts, ...] = ()
    edits: bool = False
    escapes: bool = False
    comparison: Comparison | None = None
    upscale: Upscale | None = None
    added: tuple[str, ...] = field(default=(), repr=False)
    pictures: tuple[str, ...] = ()
    variation: Variation | None = None
    controls: tuple[ControlUse, ...] = ()
    detail: tuple[DetailUse, ...] = ()
    tile: bool = False
    describe: Describe | None = None

    @property
    def each(self) -> tuple[Self, ...]:
        """The requests that it consists of: the cells of a comparison, or only itself."""
        return (
            (self,) if self.comparison is None else cast("tuple[Self, ...]", self.comparison.cells)
        )

    @property
    def images(self) -> int:
        """How many images are generated for it; what is described counts as one."""
        return sum(request.count for request in self.each)

    @property
    def whole_prompt(self) -> str:
        """The prompt, then the trigger words it lacked.

        A bracket left open in the prompt does not extend to them.
        """
        return emphasis.join((self.prompt, *self.trigger_words))

    @property
    def painted_prompt(self) -> str:
        """The same as the model reads it, where that does not change on the way."""
        return self._read(self.whole_prompt)

    @property
    def turns(self) -> tuple[tuple[Turn, ...], ...]:
        """What the text encoders see, for each pass, from which of its steps on.

        The trigger words that the prompt lacked follow each of its texts.
        """
        passes: list[tuple[int, int | None]] = [(self.steps, None)]
        if self.hires is not None:
            passes.append((self.hires.taken, self.steps))
        if not self.edits:
            return ((Turn(0, self.painted_prompt, self._read(self.negative)),),) * len(passes)
        prompt, negative = Editing(self.prompt), Editing(self.negative)
        return tuple(
            turns(
                [
                    (first, emphasis.join((text, *self.trigger_words)))
                    for first, text in prompt.schedule(steps, before)
                ],
                negative.schedule(steps, before),
            )
            for steps, before in passes
        )

    def _read(self, text: str) -> str:
        """`text` as the model reads it."""
        return emphasis.unescaped(text) if self.escapes else text

    @property
    def painted_texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Every text of `turns` once: those of the prompt, those of the negative prompt."""
        every = [turn for each in self.turns for turn in each]
        prompts, negatives = ([t.prompt for t in every], [t.negative for t in every])
        return tuple(dict.fromkeys(prompts)), tuple(dict.fromkeys(negatives))

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the finished image: after the second pass, if there is one, and of
        the whole image, if only a part of it is painted."""
        if self.upscale is not None:
            return upscaled(self.width, self.height, self.upscale.scale)
        if self.init_image is not None and (area := self.init_image.area) is not None:
            return area.width, area.height
        if self.hires is None:
            return self.width, self.height
        return self.hires.enlarged(self.width), self.hires.enlarged(self.height)

    @property
    def painted_size(self) -> tuple[int, int]:
        """Width and height of its largest pass; of an enlargement, of the enlarged image."""
        whole = self.hires is not None or self.upscale is not None
        return self.final_size if whole else (self.width, self.height)

    @property
    def names(self) -> tuple[str, ...]:
        """The catalog keys of everything it needs."""
        keys: list[str] = []
        for each in self.each:
            keys += [each.model] if each.model else []
            keys += [use.key for use in each.adapters]
            keys += each.control_keys
            keys += [*each.embedding_keys, *([each.upscale.upscaler] if each.upscale else [])]
        return tuple(dict.fromkeys(keys))

    @property
    def made_with(self) -> str:
        """The catalog key of what makes the images: the checkpoint, or else the upscaler; of a map
        alone, its type; DESCRIBER where an image is described."""
        if (map_ := self.only_map) is not None:
            return map_.type
        if self.describe is not None:
            return DESCRIBER
        return self.model or (self.upscale.upscaler if self.upscale else "")

    @property
    def only_map(self) -> ControlUse | None:
        """The map that is its result, if it asks for no image but that."""
        return next((use for use in self.controls if not use.key), None)

    @property
    def control_keys(self) -> tuple[str, ...]:
        """The catalog keys of its ControlNets, in order."""
        return tuple(use.key for use in self.controls if use.key)

    @property
    def needs_depth(self) -> bool:
        """Whether a network has to tell the depth of an image first."""
        return any(use.needs_depth for use in self.controls)

    @property
    def needs_pose(self) -> bool:
        """Whether a network has to tell how the people in an image stand first."""
        return any(use.needs_pose for use in self.controls)

    @property
    def embedding_keys(self) -> tuple[str, ...]:
        """The catalog keys of the embeddings of all images, each once."""
        return tuple(dict.fromkeys(use.key for use in self.all_embeddings))

    @property
    def all_embeddings(self) -> tuple[EmbeddingUse, ...]:
        """The embeddings of all images, each way of naming one once."""
        uses: dict[str, EmbeddingUse] = {}
        for each in self.prompts:
            for use in each.embeddings:
                uses.setdefault(use.word.casefold(), use)
        return tuple(uses.values())

    @property
    def prompts(self) -> tuple[DrawnPrompts, ...]:
        """The texts of each image; a single one if all images have the same."""
        own = DrawnPrompts(self.prompt, self.negative, self.trigger_words, self.embeddings)
        return (own, *self.others)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that was typed or drawn for it, which no log may have."""
        typed = (self.template.prompt, self.template.negative) if self.template else ()
        words = (use.word for use in self.detail)
        drawn = (text for each in self.prompts for text in (each.prompt, each.negative))
        painted = (
            text
            for n in range(len(self.prompts))
            for texts in self.alone(n).painted_texts
            for text in texts
        )
        cells = (text for each in self.each if each is not self for text in each.texts)
        return tuple(text for text in (*typed, *words, *drawn, *painted, *cells) if text)

    @property
    def inputs(self) -> tuple[str, ...]:
        """sha256 of each input image that bot.files.inputs has to keep for this request."""
        parts = (self.init_image, self.reference, self.upscale, self.describe, *self.controls)
        mask = self.init_image and self.init_image.mask
        named = (*(part.sha256 for part in parts if part), mask, *self.pictures)
        return tuple(sha256 for sha256 in named if sha256)

    def image_seed(self, n: int) -> int:
        """The seed of image `n`, counted from 0; wraps around to 0 after SEED_MAX."""
        return (self.seed + n) % (SEED_MAX + 1)

    @property
    def base_seed(self) -> int:
        """The seed as people type it: of a variation, that of the image that is varied."""
        return self.seed if self.variation is None else self.variation.seed

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """What is mixed into the noise of `base_seed` for the first image, in order."""
        return () if self.variation is None else self.variation.mixes(self.seed)

    @property
    def mixed_in(self) -> str:
        """The same as people type it, such as `12:0.2`; "" if nothing is."""
        return variation_text(self.mixes)

    def alone(self, n: int) -> Self:
        """The request for image `n` alone, counted from 0: it generates the same bytes."""
        own = self.prompts[n if self.others else 0]
        return replace(
            self,
            prompt=own.prompt,
            negative=own.negative,
            trigger_words=own.trigger_words,
            embeddings=own.embeddings,
            seed=self.image_seed(n),
            count=1,
            others=(),
        )

    def of_seed(self, seed: int) -> Self:
        """As `alone`, for the image that has this seed; the first one's if none has."""
        n = (seed - self.seed) % (SEED_MAX + 1)
        return self.alone(n if n < self.count else 0)

    def with_count(self, count: int) -> Self:
        """The first `count` of its images, of which it has no fewer; of no comparison."""
        return replace(self, count=count, others=self.others[: count - 1])

    def with_seed(self, seed: int) -> Self:
        """The same with another seed; of a variation, another one of the same image. It repeats no
        earlier image, so either kernels will do, and any machine.

        The texts stay as they are; `bot.request.drawing.varied` draws them from the template.
        """
        comparison = self.comparison and self.comparison.with_seed(self.seed, seed)
        return replace(self, seed=seed, kernels=None, environment=None, comparison=comparison)

    def variations(self, seed: int, strength: float, count: int) -> Self:
        """`count` variations of the first image, which may be one itself: the noise of `seed`, and
        of those that follow it, mixed into its own. The texts are those of that image.

        Raises InvalidRequest if it was varied too often.
        """
        own = self.alone(0)
        check_length(len(own.mixes) + 1)
        variation = Variation(own.base_seed, strength, own.mixes)
        return replace(own.with_seed(seed), count=count, variation=variation)

    def with_kernels(self, kernels: str | None) -> Self:
        """The same, to be generated with the kernels of an earlier image."""
        comparison = self.comparison and self.comparison.with_kernels(kernels)
        return replace(self, kernels=kernels, comparison=comparison)

    def bare(self) -> Self:
        """The same without what changes no image: who added its words, where it is rather
        generated, and how escapes are read that it has not got."""
        texts = [text for each in self.prompts for text in (each.negative, each.prompt)]
        read = (*texts, *(word for each in self.prompts for word in each.trigger_words))
        escapes = any(self._read(text) != text for text in read)
        comparison = self.comparison and self.comparison.bare()
        return replace(self, added=(), environment=None, escapes=escapes, comparison=comparison)

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON types; `from_dict` reads it back."""
        data = asdict(replace(self, comparison=None))
        del data["comparison"]
        for name in (
            *("embeddings", "template", "others", "edits", "escapes", "upscale", "added"),
            *("environment", "pictures", "variation", "controls", "detail", "tile"),
            "describe",
        ):
            if not data[name]:
                del data[name]  # so that requests without any are stored as ever
        if self.init_image is not None:
            data["init_image"] = self.init_image.to_dict()
        if self.controls:
            data["controls"] = tuple(use.to_dict() for use in self.controls)
        if self.hires is not None and self.hires.pixel_step == PIXEL_STEP:
            del data["hires"]["pixel_step"]
        if self.comparison is not None:
            # A cell differs from the request in one or two values: no more of it is stored.
            data["comparison"] = {
                "axes": [asdict(axis) for axis in self.comparison.axes],
                "cells": [changes(data, cell.to_dict()) for cell in self.comparison.cells],
            }
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read a stored request of any version: fields it does not have yet get their defaults."""
        data = dict(data)
        compared = data.pop("comparison", None)
        parts: dict[str, Any] = {
            "adapters": tuple(AdapterUse(**use) for use in data["adapters"]),
            "trigger_words": tuple(data["trigger_words"]),
            "added": tuple(data.get("added", ())),
            "pictures": tuple(data.get("pictures", ())),
            "controls": tuple(ControlUse(**use) for use in data.get("controls", ())),
            "detail": tuple(DetailUse(**use) for use in data.get("detail", ())),
            "embeddings": tuple(EmbeddingUse(**use) for use in data.get("embeddings", ())),
            "others": tuple(map(DrawnPrompts.from_dict, data.get("others", ()))),
        }
        for name, read in _PARTS.items():
            if data.get(name) is not None:
                parts[name] = read(data[name])
        if compared is not None:
            parts["comparison"] = Comparison(
                tuple(
                    Axis(**{**axis, "values": tuple(axis["values"])}) for axis in compared["axes"]
                ),
                tuple(cls.from_dict(changed(data, cell)) for cell in compared["cells"]),
            )
        return cls(**{**data, **parts})


_PARTS: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "hires": lambda data: Hires(**data),
    "init_image": InitImage.from_dict,
    "reference": lambda data: Reference(**data),
    "template": lambda data: Template(**data),
    "upscale": lambda data: Upscale(**data),
    "variation": Variation.from_dict,
    "describe": lambda data: Describe(**data),
}
"""The parts that a request may be without, and what reads them."""
