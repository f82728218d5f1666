"""The entry of a model, whose defaults and bounds are those of its family."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from catalog.alternatives import alternatives
from catalog.families import DEFAULT, FAMILIES, TEXT_ENCODER, VAE, Family, Variant
from catalog.families.family import DraftPreset
from catalog.limits import WEIGHT_MAX, WEIGHT_MIN
from catalog.ranges import FloatRange, IntRange, StrictTable
from catalog.schedulers import FITTING, fitting, from_noise
from catalog.schema.entry import Entry
from catalog.schema.fields import ClipSkip, ModelFile, Scheduler, Side, Size, Source
from catalog.weight_files.stated import last

_OF_FAMILY: Final = ("size", "min_side", "max_side", "max_pixels")
"""Fields whose defaults are attributes of that name."""
_GUIDANCE_FROM_NOISE: Final = 5.0
"""With zero terminal SNR, more guidance makes images too bright and too dark (arXiv 2305.08891,
section 3.4). The authors of NoobAI-XL V-Pred recommend 4 to 5."""


def _family(value: object) -> Family:
    if isinstance(value, Family):
        return value
    if not isinstance(value, str) or value not in FAMILIES:
        raise ValueError(f"must be one of {', '.join(FAMILIES)}")
    return FAMILIES[value]


FamilyKey = Annotated[
    Family,
    PlainValidator(_family),
    PlainSerializer(lambda family: family.key, return_type=str),
]
"""In the catalog's files and in JSON, its key."""


Speed: TypeAlias = Literal["fast", "medium", "slow"]
_SPEEDS: Final[tuple[tuple[float, Speed], ...]] = ((200, "fast"), (600, "medium"))
"""10¹² floating-point operations of an image, below which it is so. SDXL takes 408."""


class FastPreset(StrictTable):
    """How a model generates in a few steps.

    adapter: key of the distilled LoRA it needs; None if the model itself is distilled.
    """

    adapter: str | None = None
    weight: float = Field(default=1.0, ge=WEIGHT_MIN, le=WEIGHT_MAX)
    steps: int
    guidance: float
    scheduler: Scheduler


class ModelEntry(Entry):
    """One checkpoint that users can choose.

    path: hub id, folder in diffusers layout, one .safetensors or .gguf file, or `builtin:NAME`.
    weight_name: which file of a repository or folder with single-file checkpoints.
    revision: commit, tag or branch of the hub repository.
    family: what its files say, as far as they are here; see `judging.told`.
    variant: of its family; None: what its files or else its names say, or the plain one.
    vae_path: hub id, folder or file of a VAE to use instead of the checkpoint's own.
    text_encoder_path: the same for the text encoder of a family that has but one.
    config: hub id or folder with the diffusers configuration of a single-file checkpoint.
    clip_skip: counted as in AUTOMATIC1111, the last layer is 1; None: the family's own.
    prediction: what the denoiser was trained to predict; None: what its files say, else epsilon.
    shift: of a flow's noise levels; None: what its files say, else 1.0, which shifts nothing.
    zero_terminal_snr: whether it was trained with zero terminal SNR; None: what its files say.
    guidance_rescale: 0.0–1.0, how much of the contrast that guidance adds is removed, for models
        with zero terminal SNR (arXiv 2305.08891, which recommends 0.7).
    fast: what the preset "fast" sets; None if the model does not offer it. That of a distilled
        variant is what it usually does.
    Sizes, steps, guidance and scheduler default to those of the family and its variant, guidance
    and scheduler to others with zero terminal SNR.
    """

    weight_name: ModelFile | None = None
    family: FamilyKey = DEFAULT
    variant: str | None = None
    vae_path: Source | None = None
    text_encoder_path: Source | None = None
    config: Source | None = None
    default_negative: Annotated[str, Field(max_length=2000)] = ""
    size: Size = DEFAULT.size
    min_side: Side = DEFAULT.min_side
    max_side: Side = DEFAULT.max_side
    max_pixels: int = Field(default=DEFAULT.max_pixels, ge=64 * 64, le=4096 * 4096)
    steps: IntRange = DEFAULT.variants[0].steps
    guidance: FloatRange = DEFAULT.variants[0].guidance
    scheduler: Scheduler = DEFAULT.schedulers[0]
    clip_skip: ClipSkip | None = None
    prediction: Literal["epsilon", "v_prediction", "edm", "edm_v_prediction", "flow"] | None = None
    shift: Annotated[float, Field(gt=0, le=100)] | None = None
    zero_terminal_snr: bool | None = None
    guidance_rescale: float = Field(default=0.0, ge=0, le=1)
    fast: FastPreset | None = None

    @property
    def completed_by(self) -> str:
        """Hub id or folder of the configuration and tokenizers of a single-file checkpoint."""
        return self.config or self.sampled_as.config or self.family.config

    @property
    def lent_by(self) -> str:
        """Hub id or folder of the weights of networks that a single-file checkpoint has not got.

        All variants have the same, which are therefore downloaded from one place.
        """
        usual = self.config is None or self.config in self.family.configs
        return self.family.config if usual else str(self.config)

    @property
    def replaced(self) -> Mapping[str, str]:
        """The networks that are taken from elsewhere instead of the model's own or lent ones, each
        with the hub id, folder or file of it; the field is called after the network."""
        named = {VAE: self.vae_path, TEXT_ENCODER: self.text_encoder_path}
        return {network: path for network, path in named.items() if path}

    @property
    def heading(self) -> str:
        """Of its table in models.toml."""
        return f'[models."{self.key}"]' if "." in self.key else f"[models.{self.key}]"

    @property
    def names(self) -> tuple[str, ...]:
        """By which its variant is told."""
        return (*names_of(self.path, self.weight_name), self.name)

    @property
    def says_family(self) -> bool:
        """Whether the entry, its files or its well-known repository says of which family it is."""
        return "family" in self.model_fields_set

    @property
    def told_variant(self) -> Variant | None:
        """The variant that it names or that its names tell, or else the plain one; None if there is
        none."""
        if self.variant is not None:
            return self.family.named(self.variant)
        return self.family.told(self.names, self.path) or self.family.plain

    @property
    def sampled_as(self) -> Variant:
        """The variant; any of them for a model that nobody can use, because it is not told."""
        return self.told_variant or self.family.variants[0]

    @property
    def takes_negative(self) -> bool:
        """Whether negative prompts work."""
        return self.sampled_as.takes_negative

    @property
    def takes_guidance(self) -> bool:
        """Whether there is a guidance to choose."""
        return self.guidance.max > 1

    @property
    def pictures_max(self) -> int:
        """How many images it edits by what is said about them; 0 if it does not."""
        return self.family.pictures_max if self.sampled_as.edits else 0

    def is_guided(self, guidance: float) -> bool:
        """Whether a step evaluates the denoiser twice with that guidance: also for the negative
        prompt."""
        return guidance > 1 and not self.sampled_as.embedded

    @property
    def lacks(self) -> tuple[str, ...]:
        """The options of a request that its family or variant does not take."""
        family = self.family
        taken = {
            "negative": self.takes_negative,
            "guidance": self.takes_guidance,
            "image": family.takes_image,
            "reference": family.takes_reference,
            "control": family.takes_control,
            "tile": family.takes_tile,
            "clip_skip": family.clip_skip is not None,
        }
        return tuple(name for name, takes in taken.items() if not takes)

    @property
    def speed(self) -> Speed:
        """How much there is to compute for an image with its defaults."""
        pixels = self.size[0] * self.size[1] / (self.family.size[0] * self.family.size[1])
        evaluations = self.steps.default * (2 if self.is_guided(self.guidance.default) else 1)
        work = self.family.work * pixels * evaluations
        return next((speed for most, speed in _SPEEDS if work < most), "slow")

    @property
    def schedulers(self) -> tuple[str, ...]:
        """Those that users can choose, as far as the entry says how the model was trained."""
        return fitting(self.prediction, self.zero_terminal_snr, self.family.schedulers)

    @property
    def from_noise(self) -> bool:
        """Whether its first step is pure noise, as far as the entry says so."""
        return from_noise(self.prediction, self.zero_terminal_snr)

    @property
    def draft(self) -> DraftPreset | None:
        """The preset "draft", whose timesteps may be for the discrete steps of most models."""
        draft = self.sampled_as.draft
        if draft is None or (draft.spacing and self.prediction in FITTING):
            return None
        fit = tuple(name for name in self.schedulers if name in draft.schedulers)
        return replace(draft, schedulers=fit)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, fields: Any) -> Any:
        """Those of the family and the variant, and the first scheduler that fits."""
        if not isinstance(fields, dict):
            return fields
        given = fields.get("family", DEFAULT)
        family = given if isinstance(given, Family) else FAMILIES.get(str(given), DEFAULT)
        variant = _variant(family, fields) or family.variants[0]
        prediction = fields.get("prediction")
        known = prediction if isinstance(prediction, str) else None
        zero_snr = fields.get("zero_terminal_snr") is True
        steps, preferred = variant.habits(_names(fields))
        fit = fitting(known, zero_snr, family.schedulers)
        scheduler = fields.get("scheduler", preferred if preferred in fit else fit[0])
        guidance = variant.guidance
        if from_noise(known, zero_snr) and not variant.distilled:
            guidance = guidance.model_copy(update={"default": _GUIDANCE_FROM_NOISE})
        usual = {
            "steps": steps.default,
            "guidance": guidance.default,
            "scheduler": scheduler,
        }
        return {
            **{name: getattr(family, name) for name in _OF_FAMILY},
            "steps": steps,
            "guidance": guidance,
            "scheduler": scheduler,
            "fast": usual if variant.distilled else None,
            **fields,
        }

    @model_validator(mode="after")
    def _is_of_family(self) -> Self:
        for what, number, least, most in self._bounded():
            if not least <= number <= most:
                raise ValueError(
                    f"{what} must be from {least} to {most} for {self.family.name}, got {number}"
                )
        names = [each.name for each in self.family.variants]
        if self.variant is not None and self.variant not in names:
            raise ValueError(f"variant must be one of {', '.join(names)}, got {self.variant!r}")
        if self.prediction is not None and self.prediction not in self.family.predictions:
            raise ValueError(
                f"prediction must be {alternatives(self.family.predictions)}"
                f" for a model of {self.family.name}, got {self.prediction!r}"
            )
        for what, given, taken in (
            ("clip_skip", self.clip_skip, self.family.clip_skip is not None),
            ("default_negative", self.default_negative, self.takes_negative),
            ("text_encoder_path", self.text_encoder_path, self.family.encoder is not None),
        ):
            if given and not taken:
                refused = f"{what} is not for a {self.family.name} model, got {given!r:.60}"
                told = "family" in self.model_fields_set
                raise ValueError(refused if told else f"{refused}{_UNTOLD}")
        return self

    def _bounded(self) -> Iterator[tuple[str, float, float, float]]:
        """Fields whose bounds are the family's: name, value, least, most."""
        if self.clip_skip is not None and (layers := self.family.clip_skip):
            yield "clip_skip", self.clip_skip, layers.min, layers.max
        if self.fast is not None:
            yield "fast.steps", self.fast.steps, *self.family.fast_steps
            yield "fast.guidance", self.fast.guidance, *self.family.fast_guidance

    @model_validator(mode="after")
    def _training_is_one(self) -> Self:
        for scheduler in (self.scheduler, *([self.fast.scheduler] if self.fast else ())):
            if scheduler not in self.schedulers:
                of = f"prediction {self.prediction}" if self.prediction else self.family.name
                kind = "with zero terminal SNR" if self.from_noise else f"of {of}"
                raise ValueError(
                    f"scheduler must be one of {', '.join(self.schedulers)} for a model {kind},"
                    f" got {scheduler!r}"
                )
        if self.shift is not None and self.prediction not in {None, "flow"}:
            raise ValueError(f"shift is only for a flow, got prediction {self.prediction}")
        return self

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        step = self.family.pixel_step
        for name, side in (("min_side", self.min_side), ("max_side", self.max_side)):
            if side % step:
                raise ValueError(f"{name} must be a multiple of {step}, got {side}")
        if self.min_side > self.max_side:
            raise ValueError(
                f"min_side must be at most max_side, got {self.min_side} and {self.max_side}"
            )
        width, height = self.size
        if any(s % step or not self.min_side <= s <= self.max_side for s in self.size):
            raise ValueError(
                f"size must be multiples of {step} from {self.min_side} to {self.max_side},"
                f" got {width} and {height}"
            )
        if width * height > self.max_pixels:
            raise ValueError(
                f"size must have at most {self.max_pixels} pixels (max_pixels),"
                f" got {width}×{height}"
            )
        return self


_UNTOLD: Final = "; if it is one of another family that is not here yet, write its family"


def names_of(path: str, weight_name: str | None) -> tuple[str, ...]:
    """The names of a file and of its repository or folder."""
    return last(weight_name or ""), last(path)


def _names(fields: dict[str, Any]) -> tuple[str, ...]:
    """`ModelEntry.names` of unchecked fields."""
    path, weight_name, name = (
        str(fields.get(key) or "") for key in ("path", "weight_name", "name")
    )
    return (*names_of(path, weight_name), name)


def _variant(family: Family, fields: dict[str, Any]) -> Variant | None:
    """The variant in unchecked fields; see `ModelEntry.told_variant`."""
    if isinstance(variant := fields.get("variant"), str):
        return family.named(variant)
    return family.told(_names(fields), str(fields.get("path") or "")) or family.plain
