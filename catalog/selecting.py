"""Which files of a folder or repository make up a model or one of its networks, by their names.

The engine reads these, and the catalog says by them what is here and what is missing.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from catalog.families import FAMILIES, PipelineFiles
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK, configurations
from catalog.weight_sets import MissingShard, indexes, weight_files

Names: TypeAlias = Collection[str]
"""Of all files in a folder or repository and in the folders in it."""

WEIGHTS: Final = "diffusion_pytorch_model"
"""What diffusers' weight files of a network begin with."""
PIECES: Final = "spiece.model"
"""The vocabulary of a tokenizer, as sentencepiece writes it."""
_OTHER_BASES: Final = ("model", "pytorch_model", "diffusion_pytorch_model")
"""What other programs than the library itself call the weight files of a network."""


class Incomplete(Exception):
    """A model or network is not whole; the message is a noun phrase, what is missing.

    part: the folder or file that it is of or in; "" for the folder itself.
    """

    def __init__(self, part: str, missing: str) -> None:
        super().__init__(missing)
        self.part = part


def pipeline_files(
    names: Names, files: PipelineFiles, *, half: bool, replaced: Collection[str] = ()
) -> tuple[str, ...]:
    """The files of a model in diffusers' layout, sorted. Raises Incomplete.

    half: see `weight_files`. replaced: networks whose weights are read from elsewhere; their
    configuration is needed here.
    """
    chosen = [*config_files(names, files)]
    for network, base in files.weights.items():
        if network not in replaced:
            chosen += network_weights(names, f"{network}/", base, half=half)
    return tuple(sorted(set(chosen)))


def config_files(names: Names, files: PipelineFiles) -> tuple[str, ...]:
    """The index, configurations and tokenizers of a pipeline, sorted; no weights.

    Raises Incomplete.
    """
    if files.index not in names:
        raise Incomplete(files.index, files.index)
    chosen = [files.index]
    for part in files.folders:
        own = [
            name
            for name in names
            if re.fullmatch(rf"{part}/(?:[^/]+\.(?:json|txt)|{PIECES})", name)
        ]
        needed = {"tokenizer_config.json"} if "tokenizer" in part else {NETWORK}
        needed = {"scheduler_config.json"} if part == "scheduler" else needed
        if not needed <= {name.partition("/")[2] for name in own}:
            raise Incomplete(part, f"the configuration of {part}")
        chosen += [name for name in own if ".index." not in name]
    return tuple(sorted(chosen))


def network_weights(names: Names, folder: str, base: str, *, half: bool) -> list[str]:
    """The files with the weights of the network in `folder`, of the variant that suits best.

    folder: "" or one that ends in a slash. base: what the names of the weight files begin with.
    half: see `weight_files`. Raises Incomplete.
    """
    if chosen := _weights(names, folder, base, half=half):
        return chosen
    raise _no_weights(folder.rstrip("/"))


def replacing_files(names: Names, network: str, base: str, *, half: bool) -> tuple[str, ...]:
    """The files of a network that replaces a model's own: in a library's layout, alone or in the
    network's folder of a pipeline, or the single file at the top, without its configuration.

    base, half: as for `network_weights`. Empty if there is no such file, or several. Raises
    Incomplete.
    """
    for config in configurations(network):
        if config in names:
            folder = config.removesuffix(NETWORK)
            if weights := _weights(names, folder, base, half=half):
                return tuple(sorted((config, *weights)))
            if folder:
                raise _no_weights(network)
    alone = at_the_top(names, MODEL_SUFFIXES)
    return tuple(alone) if len(alone) == 1 else ()


def control_files(names: Names, weight_name: str | None, *, half: bool) -> tuple[str, ...]:
    """The files of a ControlNet: its weights, and the configuration beside them if there is one.

    They are `weight_name`, or those of diffusers' layout, or the only file at the top; empty if
    there is no such file, or several. half: see `weight_files`. Raises Incomplete.
    """
    if weight_name is not None:
        weights = [weight_name] if weight_name in names else []
    elif NETWORK in names:
        weights = sorted(network_weights(names, "", WEIGHTS, half=half))
    else:
        weights = at_the_top(names, MODEL_SUFFIXES[:1])
        weights = weights if len(weights) == 1 else []
    if not weights:
        return ()
    config = _config_beside(names, PurePosixPath(weights[0]))
    return (*weights, config) if config else tuple(weights)


def _config_beside(names: Names, weights: PurePosixPath) -> str:
    """The configuration of one of several networks of a folder, which are told apart by an ending
    that both files have (`config_promax.json`), or of the only one; "" if there is none."""
    ending = weights.stem.removeprefix(WEIGHTS) if weights.stem.startswith(WEIGHTS) else ""
    for name in (f"config{ending}.json", NETWORK):
        if (config := (weights.parent / name).as_posix()) in names:
            return config
    return ""


def model_inside(names: Names) -> str:
    """The only one of the folders that is a whole model in diffusers' layout, of any family; "" if
    none is, or several are. names: those two folders deep as well."""

    def is_model(own: Names) -> bool:
        for family in FAMILIES.values():
            with suppress(Incomplete):
                return bool(pipeline_files(own, family.files, half=True))
        return False

    return _inside(names, is_model)


def network_inside(names: Names, network: str, base: str) -> str:
    """The same of a network in a library's layout. base: see `network_weights`."""

    def is_network(own: Names) -> bool:
        with suppress(Incomplete):
            return len(replacing_files(own, network, base, half=True)) > 1
        return False

    return _inside(names, is_network)


def _inside(names: Names, is_whole: Callable[[Names], bool]) -> str:
    folders: dict[str, set[str]] = {}
    for name in names:
        folder, inner, below = name.partition("/")
        if inner:
            folders.setdefault(folder, set()).add(below)
    whole = [folder for folder, own in folders.items() if is_whole(own)]
    return whole[0] if len(whole) == 1 else ""


def single_files(names: Names, network: str) -> list[str]:
    """The weight files of which one may be meant for a network: those at the top, or else in any
    folder, first those in one that is called after the network, which are likelier."""
    return at_the_top(names, MODEL_SUFFIXES) or sorted(
        (name for name in names if name.lower().endswith(MODEL_SUFFIXES)),
        key=lambda name: (network not in name, name),
    )


def at_the_top(names: Iterable[str], suffixes: Sequence[str]) -> list[str]:
    """Those of `names` that are in no folder and end in the first of `suffixes` in which any
    does, sorted."""
    return of_one_kind((name for name in names if "/" not in name), suffixes)


def of_one_kind(names: Iterable[str], suffixes: Sequence[str]) -> list[str]:
    """Those of `names`, sorted, that end in the first of `suffixes` in which any does."""
    known = sorted(names)
    ending = ([name for name in known if name.lower().endswith(suffix)] for suffix in suffixes)
    return next(filter(None, ending), [])


def _no_weights(network: str) -> Incomplete:
    return Incomplete(network, f"the weights of {network}" if network else "weights")


def _weights(names: Names, folder: str, base: str, *, half: bool) -> list[str]:
    """As `network_weights`, but empty if there are none. Raises Incomplete if some are missing."""
    try:
        found = weight_files(names, folder, (base, *_OTHER_BASES), half=half)
    except MissingShard as missing:
        raise Incomplete(str(missing), str(missing)) from None
    if not found:
        end = re.compile(rf"{re.escape(folder)}[^/]+\.safetensors")
        alone = [name for name in names if end.fullmatch(name)]
        return alone if len(alone) == 1 else []
    chosen = found[0]
    return [*chosen.files, *indexes(names, folder, base, chosen)]
