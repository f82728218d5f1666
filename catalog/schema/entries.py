"""The entries of everything but models."""

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from catalog.control_types import told_type, told_types
from catalog.families import FAMILIES
from catalog.limits import TRIGGER_MAX, WEIGHT_MAX, WEIGHT_MIN
from catalog.lines import clean_line
from catalog.ranges import StrictTable
from catalog.schema.entry import Entry
from catalog.schema.fields import (
    ClipSkip,
    ControlType,
    Description,
    Keys,
    Licence,
    Line,
    Link,
    Name,
    Revision,
    SafetensorsSource,
    Scheduler,
    Source,
    StyleText,
    Subfolder,
    Triggers,
    WeightFile,
)

BUILT_IN_PRESETS: Final = ("draft", "fast")
SAVED_AS: Final = ("adapter_model", "pytorch_lora_weights")
"""What peft and diffusers call the adapter file of a folder, whatever is in it."""


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


class AdapterEntry(Entry):
    """One LoRA that users can add to a model.

    path: hub id, folder or one .safetensors file; weight_name: which file of a repository.
    token: the word for an embedding inside the file that has none of its own; see `word`.
    models: keys of the models it fits; empty means all.
    """

    path: SafetensorsSource
    default_weight: float = Field(default=1.0, ge=WEIGHT_MIN, le=WEIGHT_MAX)
    trigger_words: Triggers = ()
    token: Annotated[Line, Field(max_length=TRIGGER_MAX)] = ""
    models: Keys = ()

    @property
    def word(self) -> str:
        """What a prompt calls an embedding inside the file that has no token of its own: the name
        of the file if nothing else is said, or of the folder that trainers save it in."""
        stems = [stem for each in (self.weight_name, self.path) if each and (stem := _stem(each))]
        folder = PurePosixPath(self.path.replace("\\", "/")).parent.name
        named = (stem for stem in (*stems, folder) if stem not in SAVED_AS)
        return self.token or clean_line(next(named, ""), TRIGGER_MAX) or self.key


class EmbeddingEntry(Entry):
    """One embedding (textual inversion) that users can name in a prompt.

    path: hub id, folder or one .safetensors file; weight_name: which file of a repository.
    second: the file beside it with the vectors for the second text encoder, where they are in two.
    token: the word that stands for it in a prompt, as well as the key and the file's name.
    models: keys of the models it fits; empty means all.
    """

    path: SafetensorsSource
    second: WeightFile | None = None
    token: Annotated[Line, Field(max_length=TRIGGER_MAX)] = ""
    models: Keys = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What users may type for it: its key, its file's name and its token."""
        stem = _stem(self.weight_name or self.path)
        return tuple(dict.fromkeys(filter(None, (self.key, stem, self.token))))


class UpscalerEntry(Entry):
    """One network that enlarges images.

    path: hub id, folder, one .safetensors file, or `builtin:NAME`; weight_name: which file of a
        repository. Its architecture and factor are read from the file.
    """

    path: SafetensorsSource


class ControlNetEntry(Entry):
    """One network that makes an image follow another one's edges, depth, pose and so on.

    path: hub id, folder, one .safetensors file, or `builtin:NAME`; weight_name: which file of a
        repository. Whose models it is for, and what kind of network it is, is read from the file.
    type: of what it follows; None: as its names tell it. One for several types follows what is
        asked for, and this one by default.
    family: key of the family whose models it is for, until its file says so; None: the usual one's.
    models: keys of the models it fits; empty means all of the family.
    """

    path: SafetensorsSource
    type: ControlType | None = None
    family: str | None = None
    models: Keys = ()

    @field_validator("family")
    @classmethod
    def _family_takes_it(cls, value: str | None) -> str | None:
        known = [family.key for family in FAMILIES.values() if family.takes_control]
        if value is not None and value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return value

    @property
    def told_type(self) -> str:
        """The type that is said, or that the names tell: of the file, of the entry, of its
        folder."""
        return self.type or told_type(self._names)

    @property
    def told_types(self) -> tuple[str, ...]:
        """The types of one for several, by its names; empty for any other."""
        return told_types(self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        file, _, folder = (self.weight_name or self.path).rpartition("/")[::-1]
        return (file, self.key, self.name, folder, self.path)


class DepthEntry(StrictTable):
    """The network that tells how far away everything in an image is, for ControlNets of depth.

    path: hub id or folder, in transformers' layout. revision: commit, tag or branch on the hub.
    """

    path: Source
    revision: Revision | None = None
    licence: Licence = ""
    url: Link = ""


class PoseEntry(StrictTable):
    """The network that tells how the people in an image stand, for ControlNets of poses.

    path: hub id or folder, in transformers' layout. revision: commit, tag or branch on the hub.
    """

    path: Source
    revision: Revision | None = None
    licence: Licence = ""
    url: Link = ""


class DetectorEntry(StrictTable):
    """The network that finds what a word names in an image: parts that are painted again, and the
    people whose pose is followed.

    path: hub id or folder, in transformers' layout. revision: commit, tag or branch on the hub.
    """

    path: Source
    revision: Revision | None = None
    licence: Licence = ""
    url: Link = ""


class DescriberEntry(StrictTable):
    """The network that writes what is in an image.

    path: hub id or folder with a Florence-2. revision: commit, tag or branch on the hub. tags: what
    one is told that was trained to list words as prompts have them, such as `<GENERATE_TAGS>`; None
    for one that was not.
    """

    path: Source
    revision: Revision | None = None
    tags: Annotated[Line, Field(max_length=100)] | None = None
    licence: Licence = ""
    url: Link = ""


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
    clip_skip: ClipSkip | None = None
    detail: Annotated[Line, Field(max_length=200)] | None = None
    tile: bool | None = None

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        for name in (self.key, self.name):
            if name.casefold() in BUILT_IN_PRESETS:
                raise ValueError(f"must not be called {name}: that is a preset of the models")
        return self


def _stem(path: str) -> str:
    """The name of a file without its folders and its extension."""
    return PurePosixPath(path.replace("\\", "/")).name.removesuffix(".safetensors")
