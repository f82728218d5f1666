"""Say what a file in the place of a checkpoint is, by its header: no tensor is read.

Shapes and names outrank metadata, which anyone may edit; metadata only gives the title.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from catalog.families import Family, of_architecture
from catalog.families.recognition import Shapes, Transformer
from catalog.families.stated import NOTHING, Stated
from catalog.weight_files import control_networks, encoders, evidence, quantisation
from catalog.weight_files.adapter import adapter_facts
from catalog.weight_files.algorithms import UNKNOWN
from catalog.weight_files.architectures import INSTEAD_OF_TASKS, transformer
from catalog.weight_files.autoencoders import USABLE, autoencoder
from catalog.weight_files.embedding import is_bundled
from catalog.weight_files.encoders import TextEncoder
from catalog.weight_files.harmless import is_harmless
from catalog.weight_files.header import Header
from catalog.weight_files.layouts import ENCODERS, INSTEAD
from catalog.weight_files.parts import (
    OF_ENCODERS,
    UNKNOWN_DENOISER,
    lacking_networks,
    model_kind,
)
from catalog.weight_files.prediction import UnknownTraining
from catalog.weight_files.refusal import READ, Refusal, unclear_training, unreadable_weights
from catalog.weight_files.stated import in_metadata
from catalog.weight_files.unet import ANOTHER, unet
from catalog.weight_files.unsupported import unsupported_kind

UNKNOWN_MODEL: Final = "file of a kind that is not known here"
EMBEDDING: Final = "textual inversion"
EMA_ALONE: Final = "checkpoint with nothing but running averages (model_ema) of its denoiser"

_UNCLEAR: Final = (UNKNOWN_MODEL, UNKNOWN_DENOISER, f"{ANOTHER} UNet", f"{ANOTHER} checkpoint")
"""What files are whose tensors have other names, or other shapes, because they are packed."""
_MOVE_LORA: Final = "move it to the folder loras, and use it with a model"
_CONTROLS: Final = (control_networks.CONTROLNET, control_networks.T2I_ADAPTER)
_MOVE_CONTROL: Final = "move it to the folder controlnets, and have a model follow an image with it"
_NAME_CONFIG: Final = (
    "give it an entry in models.toml whose config is the hub id or folder of its authors' model in"
    " diffusers' layout"
)
_NAME: Final = "name {} as {} of a model in models.toml instead"


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What a file in the place of a checkpoint is.

    what: a noun phrase without an article: "SDXL checkpoint", "LoRA", "FLUX.1 transformer".
    model: the one of `layouts.USABLE` that it is a checkpoint of; "" if it is something else. What
        it lacks of text encoders and VAE comes with the configuration that completes it.
    config: hub id of the configuration of an SDXL with fewer layers; "" for SDXL's own shape.
    resized: how many blocks it has, where that is not its model's own number; else "".
    refusal: why it cannot be used whatever its entry says; None if it can.
    quantised: why its weights cannot be read, whatever it is; None if they can.
    vae: the VAE that is in it, as in `autoencoders`; "" if there is none.
    encoder: the Qwen3 or T5 that is in it; None if there is none.
    lacking: the networks that it has not got, and that come with the configuration that completes
        it; see `Family.lent`.
    prediction: what it was trained to predict, as in `ModelEntry`; None if it cannot be used.
    zero_snr: whether with zero terminal SNR; None where nothing says.
    unclear: why that is not known; None if it is.
    stated: about its variant, where a checkpoint may be of several.
    title: its name in the words of who trained it, "" if there is none.
    """

    what: str
    model: str = ""
    config: str = ""
    resized: str = ""
    refusal: Refusal | None = None
    quantised: str | None = None
    vae: str = ""
    encoder: TextEncoder | None = None
    lacking: tuple[str, ...] = ()
    prediction: str | None = None
    zero_snr: bool | None = None
    unclear: Refusal | None = None
    stated: Stated = NOTHING
    title: str = ""

    def unfit(
        self, *, of: Collection[str], config: bool, prediction: bool = False
    ) -> Refusal | None:
        """Why it cannot be used as a checkpoint of one of the models `of`; None if it can.

        config, prediction: whether its entry names a configuration, and what it was trained to
        predict.
        """
        if self.model and self.model not in of:
            return Refusal(self.what)
        if self.refusal:
            return self.refusal
        if self.config and not config:
            advice = f'give it an entry with config = "{self.config}" in models.toml'
            return Refusal(f"{self.what} with fewer layers than SDXL", advice)
        if self.resized and not config:
            return Refusal(f"{self.what} with {self.resized}", _NAME_CONFIG)
        return None if prediction else self.unclear


def checkpoint_facts(file: Path, header: Header) -> CheckpointFacts:
    """Identify a file in the place of a checkpoint, which has this header.

    Raises OSError if what decides lies beside the header and cannot be read.
    """
    title = header.metadata.get("ss_output_name", "")
    quantised = quantisation.refusal(header, file)
    shapes = quantisation.unpacked_shapes(header, file) if quantised else header.shapes
    found = None if _is_adapter(shapes) or _is_control(shapes) else _denoiser(shapes)
    if found is None:
        named = f"a version of it {READ}" if quantised else "it"
        what, advice = _other(shapes, header.metadata, named)
        packed = quantised if what in _UNCLEAR else None  # it may well be of a family
        return CheckpointFacts(
            what,
            refusal=unreadable_weights(what, packed) if packed else Refusal(what, advice),
            quantised=quantised,
            vae=autoencoder(shapes),
            encoder=encoders.text_encoder(shapes, header.metadata),
            title=title,
        )
    model, what, config = found
    family = of_architecture(model)
    refusal = unreadable_weights(what, quantised) if quantised else None
    if not _encoders_fit(model, shapes):
        refusal = Refusal(f"{what} with incomplete or unknown text encoders")
    training, unclear = None, None
    try:
        # Those that their configuration completes were all trained alike.
        training = evidence.of_file(file, header) if ENCODERS[model] else None
    except UnknownTraining as error:
        unclear = unclear_training(what, evidence.unclear(error))
    return CheckpointFacts(
        what=what,
        model=model,
        config=config,
        resized=_resized(family, shapes),
        refusal=refusal,
        quantised=quantised,
        vae=autoencoder(shapes),
        encoder=encoders.text_encoder(shapes, header.metadata),
        lacking=lacking_networks(family, shapes) if family else (),
        prediction=training.prediction if training else None,
        zero_snr=training.zero_snr if training else None,
        unclear=unclear,
        stated=replace(in_metadata(header.metadata), guided=_guided(family, shapes)),
        title=title,
    )


def _is_control(shapes: Shapes) -> bool:
    """Whether a file is a ControlNet or its like; its author's have a whole model beside it, which
    can be used without."""
    beside = control_networks.prefix_of(shapes) == control_networks.ORIGINAL
    return bool(control_networks.kind(shapes)) and not (beside and _denoiser(shapes))


def _resized(family: Family | None, shapes: Shapes) -> str:
    known = family.recognition if family else None
    return known.resized(shapes) if isinstance(known, Transformer) else ""


def _guided(family: Family | None, shapes: Shapes) -> bool | None:
    """Whether the denoiser is told its guidance; None if that tells nothing of this family."""
    known = family.recognition if family else None
    return known.guided(shapes) if isinstance(known, Transformer) else None


def _denoiser(shapes: Shapes) -> tuple[str, str, str] | None:
    """A model of ENCODERS, what it is called, and hub id of its configuration where that is not
    the model's own; None if there is none in the file."""
    if found := unet(shapes):
        known = not found.task and found.model in ENCODERS
        return (found.model, model_kind(shapes), found.config) if known else None
    name = transformer(shapes)
    return (name, model_kind(shapes), "") if name in ENCODERS else None


def _encoders_fit(model: str, shapes: Shapes) -> bool:
    """Whether all text encoders of the model are in the file, in names that are known, or none.

    Others in place of its own would generate something else than it was trained for.
    """
    layouts = ENCODERS[model]
    own = [n for n in shapes if n.startswith(OF_ENCODERS) and not is_harmless(n)]
    if layouts is None or not own:
        return True
    return any(
        all(any(name.startswith(prefix) for name in own) for prefix in prefixes)
        for prefixes in layouts
    )


def what_else(shapes: Shapes, metadata: Mapping[str, str]) -> str:
    """What a file is, whatever place it is in, a noun phrase; UNKNOWN_MODEL if that is unknown."""
    return _other(shapes, metadata, "")[0]


def _other(shapes: Shapes, metadata: Mapping[str, str], named: str) -> tuple[str, str]:
    """What a file that is no such checkpoint is, and what its owner can do with it.

    named: what an entry is to name where the file is a network of a model.
    """
    adapter = _is_adapter(shapes)
    own = [name for name in shapes if not (adapter and is_bundled(name))]
    if name := control_networks.kind(shapes):
        return name, _MOVE_CONTROL if name in _CONTROLS else INSTEAD
    if (kind := unsupported_kind(own, {})) and kind != "checkpoint":
        return kind, INSTEAD
    if adapter:
        facts = adapter_facts(shapes, metadata)
        name = "LoRA" if facts.algorithm == UNKNOWN else facts.algorithm
        return (f"{name} for {facts.base}" if facts.base else name), _MOVE_LORA
    if any(name.startswith("model_ema.") for name in shapes):
        return EMA_ALONE, INSTEAD
    what = model_kind(shapes, metadata)
    what = what or (EMBEDDING if _is_embedding(shapes) else UNKNOWN_MODEL)
    if what in USABLE:
        return what, _NAME.format(named, "vae_path")
    if what in map(encoders.kind, encoders.USABLE):
        return what, _NAME.format(named, "text_encoder_path")
    return what, INSTEAD_OF_TASKS.get(transformer(shapes), INSTEAD)


_TEXT_WIDTHS: Final = frozenset((768, 1024, 1280, 2048, 3072, 4096))
_EMBEDDINGS_MAX: Final = 8


def _is_embedding(shapes: Shapes) -> bool:
    """Whether there is nothing but a few vectors as wide as text encoders', under any names."""
    return len(shapes) <= _EMBEDDINGS_MAX and all(
        len(shape) in {1, 2} and shape[-1] in _TEXT_WIDTHS for shape in shapes.values()
    )


_OF_ADAPTERS: Final = (
    *(".lora_", ".hada_w", ".lokr_w", ".dora_scale", ".oft_", ".boft_", ".glora_", ".ia3_"),
    *(".on_input", ".w_norm", "_lora.down", "_lora.up", ".lora.down", ".lora.up"),
    *("lora_unet_", "lora_te", "lycoris_", "lllite_"),
)
_DIFFERENCES: Final = (".diff", ".diff_b", ".diff.weight")


def _is_adapter(shapes: Shapes) -> bool:
    """Whether most of the tensors are an adapter's; a merged checkpoint may hold a few strays."""
    names = "\n".join(shapes) + "\n"
    if not any(mark in names for mark in (*_OF_ADAPTERS, *(f"{end}\n" for end in _DIFFERENCES))):
        return False
    adapters = sum(
        name.endswith(_DIFFERENCES) or any(mark in name for mark in _OF_ADAPTERS) for name in shapes
    )
    return adapters * 2 > len(shapes)
