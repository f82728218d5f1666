"""The schema of catalog entries: their fields and the values these may have."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    model_validator,
)

from catalog.families import DEFAULT, Family
from catalog.families.family import DraftPreset
from catalog.limits import (
    KEY_MAX,
    LICENCE_MAX,
    NAME_MAX,
    STYLE_TEXT_MAX,
    TAG_MAX,
    TAGS_MAX,
    TRIGGER_MAX,
    WEIGHT_MAX,
    WEIGHT_MIN,
)
from catalog.lines import CONTROL, one_line
from catalog.ranges import FloatRange, IntRange, StrictTable
from catalog.schedulers import FITTING, SCHEDULERS, fitting

_KEY: Final = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{KEY_MAX - 1}}}")
BUILT_IN_PRESETS: Final = ("draft", "fast")
_PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


def is_key(text: str) -> bool:
    """Whether `text` may be the key of an entry."""
    return _KEY.fullmatch(text) is not None


def _plain(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    if text != text.strip():
        raise ValueError("must not begin or end with whitespace")
    return text


def _source(text: str) -> str:
    if text.lower().endswith(_PICKLES):
        raise ValueError("must not be a pickle file: only .safetensors is ever loaded")
    if not PurePosixPath(text).is_absolute() and ".." in PureWindowsPath(text).parts:
        raise ValueError("must not contain '..': give an absolute path instead")
    return text


def _inside_repository(text: str) -> str:
    path = PureWindowsPath(text)
    if path.is_absolute() or path.root or path.drive or ".." in path.parts:
        raise ValueError("must be the name of a file inside the repository or folder")
    if not text.lower().endswith(".safetensors"):
        raise ValueError("must end in .safetensors")
    return text


def _folder_inside(text: str) -> str:
    path = PureWindowsPath(text)
    if path.is_absolute() or path.root or path.drive or ".." in path.parts:
        raise ValueError("must be the name of a folder inside the repository or folder")
    return text


def _link(text: str) -> str:
    if text and not text.startswith("https://"):
        raise ValueError("must be empty or begin with https://")
    return text


def _scheduler(text: str) -> str:
    if text not in SCHEDULERS:
        raise ValueError(f"must be one of {', '.join(SCHEDULERS)}")
    return text


Line = Annotated[str, AfterValidator(_plain)]
Name = Annotated[Line, Field(min_length=1, max_length=NAME_MAX)]
Source = Annotated[Line, Field(min_length=1, max_length=1024), AfterValidator(_source)]
WeightFile = Annotated[
    Line, Field(min_length=1, max_length=256), AfterValidator(_inside_repository)
]
Subfolder = Annotated[Line, Field(min_length=1, max_length=256), AfterValidator(_folder_inside)]
Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")]
Description = Annotated[str, Field(max_length=1000)]
Link = Annotated[Line, Field(max_length=512), AfterValidator(_link)]
Trigger = Annotated[Line, Field(min_length=1, max_length=TRIGGER_MAX)]
Scheduler = Annotated[str, AfterValidator(_scheduler)]
StyleText = Annotated[str, Field(max_length=STYLE_TEXT_MAX)]
Licence = Annotated[Line, Field(max_length=LICENCE_MAX)]
Tag = Annotated[Line, Field(min_length=1, max_length=TAG_MAX)]
# TOML has lists where we keep tuples, so only the items are strict.
Size = Annotated[tuple[int, int], Field(strict=False)]
Triggers = Annotated[tuple[Trigger, ...], Field(strict=False, max_length=50)]
Tags = Annotated[tuple[Tag, ...], Field(strict=False, max_length=TAGS_MAX)]
Keys = Annotated[tuple[str, ...], Field(strict=False)]
Side = Annotated[int, Field(ge=64, le=4096, multiple_of=DEFAULT.pixel_step)]


class FastPreset(StrictTable):
    """How a model generates in a few steps.

    adapter: key of the distilled LoRA it needs; None if the model itself is distilled.
    """

    adapter: str | None = None
    weight: float = Field(default=1.0, ge=WEIGHT_MIN, le=WEIGHT_MAX)
    steps: int = Field(ge=DEFAULT.fast_steps[0], le=DEFAULT.fast_steps[1])
    guidance: float = Field(ge=DEFAULT.fast_guidance[0], le=DEFAULT.fast_guidance[1])
    scheduler: Scheduler


class ReferenceEntry(StrictTable):
    """The IP-Adapter that lets an image guide generation; one for all models.

    path: hub id or folder. weight_name: the adapter's file in it. encoder: the folder in it with
    the image encoder, in transformers' layout. revision: commit, tag or branch on the hub.
    """

    path: Source
    weight_name: WeightFile
    encoder: Subfolder
    revision: Revision | None = None
    licence: Licence = ""
    url: Link = ""


class ImageCheckEntry(StrictTable):
    """The network that judges whether an image is for everyone; see bot.engine.image_check.

    path: hub id or folder. folder: the one in it with the network, in diffusers' layout. revision:
    commit, tag or branch on the hub.
    """

    path: Source
    folder: Subfolder
    revision: Revision | None = None
    licence: Licence = ""
    url: Link = ""


class _Entry(StrictTable):
    """What models and adapters have in common.

    enabled: whether it is offered. demo: it ships with the code, to try out the bot, and is offered
    where demos are requested, whatever `enabled` says. tags: words to sort by, such as "anime".
    """

    key: str
    name: Name
    path: Source
    weight_name: WeightFile | None = None
    revision: Revision | None = None
    description: Description = ""
    enabled: bool = True
    demo: bool = False
    nsfw: bool = False
    licence: Licence = ""
    url: Link = ""
    tags: Tags = ()

    @model_validator(mode="after")
    def _key_is_sound(self) -> Self:
        if not is_key(self.key):
            raise ValueError(
                f"the key must be 1 to {KEY_MAX} of a-z, 0-9, '.', '_', '-'"
                " and begin with a letter or digit"
            )
        return self


class ModelEntry(_Entry):
    """One checkpoint that users can choose.

    path: hub id, folder in diffusers layout, one .safetensors checkpoint, or `builtin:NAME`.
    weight_name: which file of a repository or folder with single-file checkpoints.
    revision: commit, tag or branch of the hub repository.
    vae_path: hub id, folder or file of a VAE to use instead of the checkpoint's own.
    config: hub id or folder with the diffusers configuration of a single-file checkpoint.
    clip_skip: counted as in AUTOMATIC1111: None or 2 is SDXL's own (penultimate) layer.
    prediction: what the UNet was trained to predict; None: what its files say, else epsilon.
    shift: of a flow's noise levels; None: what its files say, else 1.0, which shifts nothing.
    zero_terminal_snr: whether it was trained with zero terminal SNR; None: what its files say.
    guidance_rescale: 0.0–1.0, how much of the contrast that guidance adds is removed, for models
        with zero terminal SNR (arXiv 2305.08891, which recommends 0.7).
    fast: what the preset "fast" sets; None if the model does not offer it.
    """

    vae_path: Source | None = None
    config: Source | None = None
    default_negative: Annotated[str, Field(max_length=2000)] = ""
    size: Size = DEFAULT.size
    min_side: Side = DEFAULT.min_side
    max_side: Side = DEFAULT.max_side
    max_pixels: int = Field(default=DEFAULT.max_pixels, ge=64 * 64, le=4096 * 4096)
    steps: IntRange = DEFAULT.steps
    guidance: FloatRange = DEFAULT.guidance
    scheduler: Scheduler = DEFAULT.schedulers[0]
    clip_skip: Annotated[int, Field(ge=2, le=12)] | None = None
    prediction: Literal["epsilon", "v_prediction", "edm", "edm_v_prediction", "flow"] | None = None
    shift: Annotated[float, Field(gt=0, le=100)] | None = None
    zero_terminal_snr: bool | None = None
    guidance_rescale: float = Field(default=0.0, ge=0, le=1)
    fast: FastPreset | None = None

    @property
    def family(self) -> Family:
        """The model family it belongs to; the owner never has to set it."""
        return DEFAULT

    @property
    def completed_by(self) -> str:
        """Hub id or folder of what a single-file checkpoint has not got."""
        return self.config or self.family.config

    @property
    def schedulers(self) -> tuple[str, ...]:
        """Those that users can choose, as far as the entry says how the model was trained."""
        return fitting(self.prediction, self.family.schedulers)

    @property
    def draft(self) -> DraftPreset | None:
        """The preset "draft", whose timesteps are for the discrete steps of most models."""
        return None if self.prediction in FITTING else self.family.draft

    @model_validator(mode="before")
    @classmethod
    def _default_scheduler(cls, fields: Any) -> Any:
        """The first scheduler that fits, unless the entry names one."""
        if isinstance(fields, dict) and "scheduler" not in fields:
            prediction = fields.get("prediction")
            known = prediction if isinstance(prediction, str) else None
            return {**fields, "scheduler": fitting(known, DEFAULT.schedulers)[0]}
        return fields

    @model_validator(mode="after")
    def _training_is_one(self) -> Self:
        for scheduler in (self.scheduler, *([self.fast.scheduler] if self.fast else ())):
            if scheduler not in self.schedulers:
                raise ValueError(
                    f"scheduler must be one of {', '.join(self.schedulers)} for a model of"
                    f" prediction {self.prediction}, got {scheduler!r}"
                )
        if self.shift is not None and self.prediction not in {None, "flow"}:
            raise ValueError(f"shift is only for a flow, got prediction {self.prediction}")
        return self

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(
                f"min_side must be at most max_side, got {self.min_side} and {self.max_side}"
            )
        width, height = self.size
        step = self.family.pixel_step
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


class AdapterEntry(_Entry):
    """One LoRA that users can add to a model.

    path: hub id, folder or one .safetensors file; weight_name: which file of a repository.
    models: keys of the models it fits; empty means all.
    """

    default_weight: float = Field(default=1.0, ge=WEIGHT_MIN, le=WEIGHT_MAX)
    trigger_words: Triggers = ()
    models: Keys = ()


class EmbeddingEntry(_Entry):
    """One embedding (textual inversion) that users can name in a prompt.

    path: hub id, folder or one .safetensors file; weight_name: which file of a repository.
    second: the file beside it with the vectors for the second text encoder, where they are in two.
    token: the word that stands for it in a prompt, as well as the key and the file's name.
    models: keys of the models it fits; empty means all.
    """

    second: WeightFile | None = None
    token: Annotated[Line, Field(max_length=TRIGGER_MAX)] = ""
    models: Keys = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What users may type for it: its key, its file's name and its token."""
        file = self.weight_name or self.path
        stem = PurePosixPath(file.replace("\\", "/")).name.removesuffix(".safetensors")
        return tuple(dict.fromkeys(filter(None, (self.key, stem, self.token))))


class UpscalerEntry(_Entry):
    """One network that enlarges images.

    path: hub id, folder, one .safetensors file, or `builtin:NAME`; weight_name: which file of a
        repository. Its architecture and factor are read from the file.
    """


class StyleEntry(StrictTable):
    """A style that users can paint in: words around their prompt, and options.

    prompt, negative: with `{prompt}` where the prompt and the negative prompt go that were typed.
    The options are named and written as in /imagine.
    """

    key: Name
    name: Name
    description: Description = ""
    enabled: bool = True
    nsfw: bool = False
    prompt: StyleText = ""
    negative: StyleText = ""
    model: Line | None = None
    lora: Annotated[str, Field(max_length=1000)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance: Annotated[float, Field(ge=0, le=100)] | None = None
    size: Annotated[Line, Field(max_length=20)] | None = None
    count: Annotated[int, Field(ge=1, le=4)] | None = None
    scheduler: Scheduler | None = None
    preset: Literal["draft", "fast"] | None = None
    hires: Annotated[float, Field(ge=1, le=4)] | None = None
    clip_skip: Annotated[int, Field(ge=2, le=12)] | None = None

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        for name in (self.key, self.name):
            if name.casefold() in BUILT_IN_PRESETS:
                raise ValueError(f"must not be called {name}: that is a preset of the models")
        return self


# What pydantic's error types expect, worded for an owner who edits TOML.
_EXPECTED: Final = {
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_pattern_mismatch": "a commit, tag or branch name",
    "string_type": "text in quotes",
    "tuple_type": "a list in square brackets",
}


_TABLES: Final = {
    "FastPreset": '{steps = 6, guidance = 1.5, scheduler = "LCM"}',
    "ReferenceEntry": '{path = "…", weight_name = "….safetensors", encoder = "…"}',
}
_RANGE: Final = "{min = 10, default = 30, max = 100}"


def explain(error: ValidationError) -> str:
    """`error` as one short line: each field, what is allowed, and the given value."""
    return one_line("; ".join(_explain_one(dict(detail)) for detail in error.errors()))


def _explain_one(detail: dict[str, Any]) -> str:
    field = ".".join(str(part) for part in detail["loc"] if not str(part).startswith("function-"))
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"{field} is not a known field"
    if kind == "value_error":
        reason = str(context["error"])
        # Checks that involve several fields name the values themselves.
        named = not field or ", got " in reason
        return f"{field} {reason}".strip() + ("" if named else f", got {_shown(given)}")
    if kind in {"string_too_long", "too_long"}:
        unit = "characters" if isinstance(given, str) else "items"
        return f"{field} must have at most {context['max_length']} {unit}, got {_shown(given)}"
    if kind in {"string_too_short", "too_short"}:
        return f"{field} must not be empty"
    if kind == "model_type":
        table = _TABLES.get(context["class_name"], _RANGE)
        return f"{field} must be a table like {table}, got {_shown(given)}".strip()
    expected = _EXPECTED.get(kind) or detail["msg"].removeprefix("Input should be ")
    return f"{field} must be {expected}, got {_shown(given)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
