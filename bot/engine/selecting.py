"""Which files of a folder or repository are needed, by their names."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import PurePosixPath
from typing import Final

from bot.engine.variants import MissingShard, indexes, weight_files
from catalog.families import PipelineFiles
from catalog.locate import of_one_kind
from catalog.schema import ReferenceEntry
from catalog.weight_files import CONFIG_FILE, WEIGHTS_FILE
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK, configurations

Names = Collection[str]
Select = Callable[[Names], tuple[str, ...]]
"""All names below a folder or repository → those that are needed. Raises Unfit."""

_OTHER_BASES: Final = ("model", "pytorch_model", "diffusion_pytorch_model")
"""What other programs than the library itself call the weight files of a network."""


class Unfit(Exception):
    """A folder or repository cannot be used. codes, params: as for Subject.failed."""

    def __init__(self, *codes: str, **params: str) -> None:
        super().__init__(codes[0])
        self.codes = codes
        self.params = params


def checkpoint_files(
    names: Names,
    files: PipelineFiles,
    weight_name: str | None,
    *,
    half: bool,
    replaced: Collection[str] = (),
) -> tuple[str, ...]:
    """The files of a model: its diffusers layout, or the single file, which may be a .gguf file.

    replaced: networks whose weights are read from elsewhere; their configuration is needed here.
    """
    if weight_name is None and files.index in names:
        chosen = [files.index, *config_files(names, files)]
        for part, base in files.weights.items():
            if part not in replaced:
                chosen += network_weights(names, f"{part}/", base, half=half)
        return tuple(sorted(set(chosen)))
    return single_file(names, weight_name, MODEL_SUFFIXES)


def config_files(names: Names, files: PipelineFiles) -> tuple[str, ...]:
    """Configurations and tokenizers of a pipeline, without weights."""
    chosen = [files.index]
    for part in files.folders:
        own = [name for name in names if re.fullmatch(rf"{part}/[^/]+\.(json|txt)", name)]
        needed = {"tokenizer_config.json"} if "tokenizer" in part else {"config.json"}
        needed = {"scheduler_config.json"} if part == "scheduler" else needed
        if not needed <= {name.partition("/")[2] for name in own}:
            raise Unfit("model.incomplete", part=part)
        chosen += [name for name in own if ".index." not in name]
    return tuple(sorted(chosen))


def replacing_files(names: Names, network: str, base: str, *, half: bool) -> tuple[str, ...]:
    """The files of a network that replaces a model's own: in a library's layout, alone or in the
    network's folder of a pipeline, or the single file, without its configuration.

    base: what the names of its weight files begin with.
    """
    for config in configurations(network):
        if config in names:
            folder = config.removesuffix(NETWORK)
            if weights := _weights(names, folder, base, half=half):
                return tuple(sorted((config, *weights)))
            if folder:
                raise Unfit("model.incomplete", part=network)
    files = of_one_kind((name for name in names if "/" not in name), MODEL_SUFFIXES)
    if len(files) == 1:
        return (files[0],)
    # In any folder: those in one that is called after the network are likelier to be meant.
    files = files or sorted(
        (name for name in names if name.lower().endswith(MODEL_SUFFIXES)),
        key=lambda name: (network not in name, name),
    )
    if not files:
        raise Unfit("model.no_safetensors")
    raise Unfit("model.choose_network", field=f"{network}_path", files=", ".join(files[:5]))


def reference_files(names: Names, entry: ReferenceEntry, *, half: bool) -> tuple[str, ...]:
    """The files of an IP-Adapter: its own first, then its image encoder's."""
    encoder = network_files(names, entry.encoder, half=half)
    return (*single_file(names, entry.weight_name), *encoder)


def network_files(names: Names, folder: str, *, half: bool) -> tuple[str, ...]:
    """The files of a network in transformers' layout: its configuration, and its weights."""
    config = f"{folder}/config.json"
    if config not in names:
        raise Unfit("reference.incomplete", part=config)
    return (config, *sorted(network_weights(names, f"{folder}/", "model", half=half)))


def adapter_files(names: Names, weight_name: str | None) -> tuple[str, ...]:
    """The single file of an adapter, and peft's configuration if it is for this file."""
    (chosen,) = single_file(names, weight_name)
    folder = PurePosixPath(chosen).parent
    config = (folder / CONFIG_FILE).as_posix()
    beside = [n for n in names if n.endswith(".safetensors") and PurePosixPath(n).parent == folder]
    own = PurePosixPath(chosen).name == WEIGHTS_FILE or beside == [chosen]
    return (chosen, config) if own and config in names else (chosen,)


def single_file(
    names: Names, weight_name: str | None, suffixes: Sequence[str] = MODEL_SUFFIXES[:1]
) -> tuple[str, ...]:
    """The single file: `weight_name`, or else the only one at the top that ends in the first of
    `suffixes` in which any does."""
    if weight_name is not None:
        if weight_name not in names:
            raise Unfit(
                "model.no_such_file",
                "adapter.no_such_file",
                "embedding.no_such_file",
                "upscaler.no_such_file",
                "reference.no_such_file",
                file=weight_name,
            )
        return (weight_name,)
    files = of_one_kind((name for name in names if "/" not in name), suffixes)
    if not files:
        raise Unfit(
            "model.no_safetensors",
            "adapter.no_safetensors",
            "embedding.no_safetensors",
            "upscaler.no_safetensors",
        )
    if len(files) > 1:
        raise Unfit(
            "model.choose_file",
            "adapter.choose_file",
            "embedding.choose_file",
            "upscaler.choose_file",
            files=", ".join(files[:5]),
        )
    return (files[0],)


def network_weights(names: Names, folder: str, base: str, *, half: bool) -> list[str]:
    """The files with the weights of the network in `folder`, of the variant that suits best."""
    if chosen := _weights(names, folder, base, half=half):
        return chosen
    if not folder:
        raise Unfit("model.no_safetensors")
    raise Unfit("model.incomplete", "reference.incomplete", part=folder.rstrip("/"))


def _weights(names: Names, folder: str, base: str, *, half: bool) -> list[str]:
    """As `network_weights`, but empty if there are none. Raises Unfit if a shard is missing."""
    try:
        found = weight_files(names, folder, (base, *_OTHER_BASES), half=half)
    except MissingShard as missing:
        raise Unfit("model.incomplete", "reference.incomplete", part=str(missing)) from None
    if not found:
        end = re.compile(rf"{re.escape(folder)}[^/]+\.safetensors")
        alone = [name for name in names if end.fullmatch(name)]
        return alone if len(alone) == 1 else []
    chosen = found[0]
    return [*chosen.files, *indexes(names, folder, base, chosen)]
