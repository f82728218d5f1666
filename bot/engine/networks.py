"""The networks of a model: their configuration and their weights, as the files have them."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch

from bot.engine.families import VAE, Family
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import FileTensors, Layout, WeightFile
from bot.engine.weights.blocks import Packed, unpacked
from bot.engine.weights.quantised import plain
from catalog.families import FAMILIES, TEXT_ENCODER
from catalog.lines import one_line
from catalog.weight_files import (
    CheckpointFacts,
    Header,
    NotGguf,
    NotSafetensors,
    checkpoint_facts,
    encoders,
    quantisation,
    read_model_header,
)
from catalog.weight_files.gguf import SUFFIX as GGUF
from catalog.weight_files.harmless import is_harmless
from catalog.weight_files.pipeline import (
    NETWORK,
    ConfigurationError,
    autoencoder_of,
    encoder_of,
    read_configuration,
)
from catalog.weight_files.prediction import MOMENTS_SCALE, Moments
from catalog.weight_files.quantisation import UnknownQuantisation

log = logging.getLogger(__name__)

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Everything that a model is loaded from.

    config: completes a single-file checkpoint. replaced: networks, by name, that are read instead
        of the model's own ones; with their configuration where they have one.
    lent: the networks that the checkpoint has not got. apart: the weights of those of them that are
        not beside `config`, which has the configuration of all.
    moments: of the latents, where the checkpoint brings them along.
    It is made for one job, which reads each header once.
    """

    checkpoint: Source
    config: Source | None = None
    replaced: Mapping[str, Source] = field(default_factory=dict)
    lent: tuple[str, ...] = ()
    apart: Mapping[str, Source] = field(default_factory=dict)
    moments: Moments | None = None
    _headers: dict[Path, Header] = field(default_factory=dict, repr=False, compare=False)

    @property
    def root(self) -> Path:
        """The folder with the configuration and the tokenizers."""
        return (self.config or self.checkpoint).root

    @property
    def sources(self) -> tuple[Source, ...]:
        """The checkpoint, then everything else that weights are read from."""
        return (self.checkpoint, *self.replaced.values(), *map(self.lender, self.lent))

    def fingerprint(self) -> tuple[Any, ...]:
        sources = (self.checkpoint, self.config, *self.apart.values())
        replaced = [(name, each.fingerprint()) for name, each in self.replaced.items()]
        return (*(source and source.fingerprint() for source in sources), *replaced)

    def holding(self, network: str) -> tuple[Path, ...]:
        """The files with the weights of `network`."""
        if network in self.replaced:
            return self.replaced[network].weights
        if network in self.lent:
            return self.lender(network).weights
        if self.checkpoint.single:
            return self.checkpoint.weights
        return _below(self.checkpoint, network).weights

    def lender(self, network: str) -> Source:
        """The weights of one of the networks in `lent`."""
        if network in self.apart:
            return self.apart[network]
        if self.config is None:
            raise ValueError(f"{network} is lent by nothing: the checkpoint has no configuration")
        found = _below(self.config, network)
        return Source(found.root, found.weights)

    def header_of(self, path: Path, subject: Subject) -> Header:
        """The header of one of the weight files. Raises JobFailed, and OSError."""
        if path not in self._headers:
            try:
                self._headers[path] = read_model_header(path)
            except (NotSafetensors, NotGguf) as error:
                gguf = isinstance(error, NotGguf)
                code = "model.not_gguf" if gguf else "model.not_safetensors"
                raise subject.failed(code, file=path.name, reason=str(error)) from None
        return self._headers[path]

    def config_of(self, network: str) -> dict[str, Any]:
        """The `config.json` of `network`: its own, but for what the denoiser was trained with."""
        config = own = self.usual_config_of(network)
        if network in self.replaced:
            # This is of weights that are not read.
            config = own = {k: v for k, v in own.items() if k != quantisation.CONFIG}
        if network in self.replaced and (said := own_config(self.replaced[network])) is not None:
            config = said
            trained: tuple[str, ...] = () if network == VAE else (_DEPTH,)
            if (own.get("latents_mean") and own.get("latents_std")) or own.get("shift_factor"):
                trained = _LATENTS
            config = {**config, **{key: own[key] for key in trained if key in own}}
        if network == VAE and self.moments:
            values = (MOMENTS_SCALE, [*self.moments.mean], [*self.moments.deviation])
            config = {**config, **dict(zip(_MOMENTS, values, strict=True))}
        return config

    def usual_config_of(self, network: str) -> dict[str, Any]:
        """The `config.json` of the network that the model has if none replaces it."""
        return _json(self.root / network / NETWORK)


def _below(source: Source, network: str) -> Source:
    """The files of one network in diffusers' layout."""
    folder = source.root / network
    return Source(folder, tuple(path for path in source.files if path.parent == folder))


def own_config(replacing: Source) -> dict[str, Any] | None:
    """The `config.json` of a network in its library's layout; None for a single file, which has
    none."""
    return None if replacing.single else _json(replacing.weights[0].parent / NETWORK)


def _json(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def index(files: ModelFiles, family: Family, subject: Subject) -> dict[str, Any]:
    """The index of the pipeline, which lists its networks. Raises JobFailed, and OSError."""
    try:
        return read_configuration(files.root / family.files.index)
    except ConfigurationError as error:
        raise subject.failed("model.unreadable", reason=str(error)) from None


_MOMENTS: Final = ("scaling_factor", "latents_mean", "latents_std")
_LATENTS: Final = (*_MOMENTS, "shift_factor")
"""Options of a VAE's configuration that are not about the VAE."""
_DEPTH: Final = "num_hidden_layers"
"""Option of a text encoder's, of which the model reads particular layers."""


_COPIED: Final = (
    *(".in_proj_weight", ".in_proj_bias", ".text_projection"),
    *("final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.bias"),
)
"""Ends of the names of tensors that are taken apart or turned over, and so copied."""
_HISTORY: Final = ("architectures", "dtype", "torch_dtype", "transformers_version")


def essence(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` without the entries that only tell how it was saved."""
    return {
        key: value
        for key, value in config.items()
        if not key.startswith("_") and key not in _HISTORY
    }


def check(files: ModelFiles, family: Family, subject: Subject) -> None:
    """Check every header before anything else opens the files. Raises JobFailed."""
    for network in family.networks:
        if reason := quantisation.config_refusal(files.config_of(network)):
            raise subject.failed("model.quantised", reason=reason)
    if files.checkpoint.single is None:
        family.check_folder(files.checkpoint.root, subject)
    for source in files.sources:
        for path in source.weights:
            header = files.header_of(path, subject)
            if reason := quantisation.refusal(header, path):
                raise subject.failed("model.quantised", reason=reason)
            if path == files.checkpoint.single:
                family.check_single(path, header, subject)
                _name_strangers(header, family, subject)
    for network, source in files.replaced.items():
        checked = _check_vae if network == VAE else _check_encoder
        checked(source, files, family, subject)


def _check_vae(vae: Source, files: ModelFiles, family: Family, subject: Subject) -> None:
    """Raise JobFailed unless `vae` is one of the family, by its weights and its configuration."""
    wanted = FAMILIES[family.key]
    said = _facts_of(vae, files, subject)
    what = "" if said.vae == wanted.vae else said.what
    if not what and (config := own_config(vae)):
        what = autoencoder_of(config)
    if what not in {"", wanted.vae}:
        raise subject.failed("model.other_vae", family=wanted.name, what=what)


def _check_encoder(encoder: Source, files: ModelFiles, family: Family, subject: Subject) -> None:
    """Raise JobFailed unless `encoder` is one of the family, by its weights and its
    configuration."""
    wanted = str(FAMILIES[family.key].encoder)
    said, config = _facts_of(encoder, files, subject), own_config(encoder)
    name = said.encoder and said.encoder.name
    fits = name == wanted
    if said.encoder and name == encoders.unsized(wanted):
        fits = said.encoder.width == encoders.width_of(files.usual_config_of(TEXT_ENCODER))
    what = "" if fits else said.what
    if fits and config:
        told = encoder_of(config)
        what = "" if told in map(encoders.kind, (wanted, encoders.unsized(wanted))) else told
    if what:
        raise subject.failed("model.other_encoder", needed=wanted, what=what)


def _facts_of(source: Source, files: ModelFiles, subject: Subject) -> CheckpointFacts:
    """What the weights of one network are, which may be in several files."""
    headers = [files.header_of(path, subject) for path in source.weights]
    shapes = {name: shape for header in headers for name, shape in header.shapes.items()}
    return checkpoint_facts(source.weights[0], replace(headers[0], shapes=shapes))


def _name_strangers(header: Header, family: Family, subject: Subject) -> None:
    """Log what a single-file checkpoint has that belongs to no network and is not harmless."""
    known = tuple(prefix for network in family.networks for prefix in family.prefixes(network))
    if not any(name.startswith(family.prefixes(family.denoiser)) for name in header.shapes):
        return  # the denoiser's own file, whose names are compared when it is read
    strange = [n for n in header.shapes if not n.startswith(known) and not is_harmless(n)]
    if strange:
        log.warning(
            "Model %s: left out %d tensors that belong to none of its networks, such as %s",
            *(subject.key, len(strange), one_line(strange[0][:100])),
        )


def read(
    network: str, module: Any, layout: Layout, files: ModelFiles, family: Family, subject: Subject
) -> Tensors:
    """Every parameter of `layout`, mapped from its file where its format allows, else copied.

    Raises JobFailed when one is missing or has another shape.
    """
    paths = files.holding(network)
    in_files = stored(paths)
    own = _of(family.prefixes(network), in_files)
    packed = {name: how for file in in_files.files for name, how in file.packed.items()}
    try:
        # What is read to some depth only is not unpacked beyond it.
        read = {n: t for n, t in own.items() if n not in packed or not family.unread(network, n)}
        own = plain(_unpacked(read, packed, layout.dtype, subject), layout.dtype)
    except UnknownQuantisation as error:
        raise subject.failed("model.quantised", reason=str(error)) from None
    found: Tensors = family.renamed(network, module, own, layout.slots)
    if any(path.suffix.lower() == GGUF for path in paths):
        found = _with_first_axes(found, layout)
    tensors = fitting(network, found, layout, subject)
    unused = [name for name in _unused(own, tensors) if not family.unread(network, name)]
    if unused:
        log.warning(
            "Model %s: left out %d tensors that are no part of its %s, such as %s",
            *(subject.key, len(unused), network, one_line(unused[0][:100])),
        )
    return FileTensors(tensors, in_files.files)


def _unpacked(
    own: Tensors, packed: Mapping[str, Packed], dtype: torch.dtype, subject: Subject
) -> Tensors:
    """`own` with the blocks of .gguf files as plain numbers."""
    found = {}
    for name, tensor in own.items():
        if name in packed:
            subject.check_stop()
            found[name] = unpacked(tensor, packed[name], dtype)
        else:
            found[name] = tensor
    return found


def _with_first_axes(found: Tensors, layout: Layout) -> Tensors:
    """`found` with the first axes of length 1 that ggml leaves out of a tensor's shape."""

    def whole(name: str, tensor: torch.Tensor) -> torch.Tensor:
        shape = layout.slots[name].shape if name in layout.slots else tensor.shape
        added = len(shape) - tensor.ndim
        return tensor.view(shape) if (*(1,) * added, *tensor.shape) == tuple(shape) else tensor

    return {name: whole(name, tensor) for name, tensor in found.items()}


def _of(prefixes: Iterable[str], found: Tensors) -> Tensors:
    """The tensors of one network; all of them in a file of this network alone."""
    for prefix in prefixes:
        own = {name: tensor for name, tensor in found.items() if name.startswith(prefix)}
        if not all(map(is_harmless, own)):  # which may still have markers with the prefix
            return own
    return found


def _unused(own: Tensors, taken: Tensors) -> list[str]:
    """Names of the tensors that the network does not have and that are not known to be harmless."""
    used = {tensor.data_ptr() for tensor in taken.values()}
    return [
        name
        for name, tensor in own.items()
        if tensor.numel()
        and tensor.data_ptr() not in used
        and not name.endswith(_COPIED)
        and not is_harmless(name)
    ]


def stored(paths: Iterable[Path]) -> FileTensors:
    """Every tensor in these files, mapped from them, by its name there."""
    files = [WeightFile(path) for path in paths]
    return FileTensors({n: t for file in files for n, t in file.tensors.items()}, files)


def fitting(network: str, found: Tensors, layout: Layout, subject: Subject) -> Tensors:
    """The tensors of `found` that `layout` has.

    Raises JobFailed when one is missing or has another shape.
    """
    missing = [name for name in layout.slots if name not in found]
    if missing:
        codes = (
            "reference.incomplete",
            "control.incomplete",
            "depth.incomplete",
            "pose.incomplete",
            "detector.incomplete",
            "describer.incomplete",
        )
        raise subject.failed("model.incomplete", *codes, part=f"{network} ({missing[0]})")
    for name, slot in layout.slots.items():
        if tuple(found[name].shape) != slot.shape:
            shapes = f"{tuple(found[name].shape)} instead of {slot.shape}"
            codes = (
                "reference.unreadable",
                "control.unreadable",
                "depth.unreadable",
                "pose.unreadable",
                "detector.unreadable",
                "describer.unreadable",
            )
            raise subject.failed("model.unreadable", *codes, reason=f"{network}.{name}: {shapes}")
    fit = {name: found[name] for name in layout.slots}
    return FileTensors(fit, found.files) if isinstance(found, FileTensors) else fit


def digest(tensors: Tensors, tick: Callable[[float], None]) -> str:
    """Hex SHA-256 of names, dtypes, shapes and data: the same for the same network in any file.

    tick: gets the fraction done; may raise to stop.
    """
    total = sum(tensor.nbytes for tensor in tensors.values())
    seen, done = hashlib.sha256(), 0
    for name, tensor in tensors.items():
        seen.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        seen.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
        done += tensor.nbytes
        tick(done / max(total, 1))
    return seen.hexdigest()
