"""Which files of a folder or repository an entry needs, by their names, and why it cannot be used
if they are not there."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from catalog import selecting
from catalog.families import PipelineFiles
from catalog.schema import ReferenceEntry
from catalog.selecting import Incomplete, Names, at_the_top
from catalog.weight_files import CONFIG_FILE, WEIGHTS_FILE
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK

VOCABULARY: Final = "vocab.txt"
"""The file with the words that a text encoder like BERT knows, one in each line."""
TOKENIZER: Final = "tokenizer.json"
"""The file with all that the tokenizer of a language model is made of."""

Select = Callable[[Names], tuple[str, ...]]
"""All names below a folder or repository → those that are needed. Raises Unfit."""


class Unfit(Exception):
    """A folder or repository cannot be used. codes, params: as for Subject.failed."""

    def __init__(self, *codes: str, **params: str) -> None:
        super().__init__(codes[0])
        self.codes = codes
        self.params = params


@contextmanager
def _whole() -> Iterator[None]:
    """Raises Unfit where something is missing."""
    try:
        yield
    except Incomplete as error:
        if not error.part:
            raise Unfit(
                "model.no_safetensors",
                "control.no_safetensors",
                "depth.no_safetensors",
                "pose.no_safetensors",
                "detector.no_safetensors",
                "describer.no_safetensors",
            ) from None
        codes = (
            "reference.incomplete",
            "control.incomplete",
            "depth.incomplete",
            "pose.incomplete",
            "detector.incomplete",
            "describer.incomplete",
        )
        raise Unfit("model.incomplete", *codes, part=error.part) from None


def checkpoint_files(
    names: Names,
    files: PipelineFiles,
    weight_name: str | None,
    *,
    half: bool,
    replaced: Collection[str] = (),
) -> tuple[str, ...]:
    """The files of a model: its diffusers layout, or the single file, which may be a .gguf file.

    replaced: see `selecting.pipeline_files`.
    """
    if weight_name is None and files.index in names:
        with _whole():
            return selecting.pipeline_files(names, files, half=half, replaced=replaced)
    if weight_name is None and not at_the_top(names, MODEL_SUFFIXES):
        _check_inside("path", selecting.model_inside(names))
    return single_file(names, weight_name, MODEL_SUFFIXES)


def _check_inside(field: str, inside: str) -> None:
    """Raise Unfit if a folder in the one that a field names is what it should name."""
    if inside:
        raise Unfit("model.inside", field=field, inside=inside)


def config_files(names: Names, files: PipelineFiles) -> tuple[str, ...]:
    """See `selecting.config_files`."""
    with _whole():
        return selecting.config_files(names, files)


def replacing_files(names: Names, network: str, base: str, *, half: bool) -> tuple[str, ...]:
    """See `selecting.replacing_files`."""
    with _whole():
        if found := selecting.replacing_files(names, network, base, half=half):
            return found
    if not at_the_top(names, MODEL_SUFFIXES):
        _check_inside(f"{network}_path", selecting.network_inside(names, network, base))
    files = selecting.single_files(names, network)
    if not files:
        raise Unfit("model.no_safetensors")
    raise Unfit("model.choose_network", field=f"{network}_path", files=", ".join(files[:5]))


def reference_files(names: Names, entry: ReferenceEntry, *, half: bool) -> tuple[str, ...]:
    """The files of an IP-Adapter: its own first, then its image encoder's."""
    encoder = network_files(names, entry.encoder, half=half)
    return (*single_file(names, entry.weight_name), *encoder)


def control_files(names: Names, weight_name: str | None, *, half: bool) -> tuple[str, ...]:
    """See `selecting.control_files`."""
    with _whole():
        if found := selecting.control_files(names, weight_name, half=half):
            return found
    return single_file(names, weight_name)


def depth_files(names: Names, *, half: bool) -> tuple[str, ...]:
    """The files of a network that tells depth, in transformers' layout: its configuration, and its
    weights."""
    return network_files(names, "", half=half)


def pose_files(names: Names, *, half: bool) -> tuple[str, ...]:
    """The files of a network that tells poses, likewise."""
    return network_files(names, "", half=half)


def detector_files(names: Names, *, half: bool) -> tuple[str, ...]:
    """The files of a network that finds what a word names, likewise, and the words it knows."""
    config, *weights = network_files(names, "", half=half)
    if VOCABULARY not in names:
        raise Unfit("detector.incomplete", part=VOCABULARY)
    return (config, VOCABULARY, *weights)


def describer_files(names: Names, *, half: bool) -> tuple[str, ...]:
    """The files of a network that writes what is in an image, likewise, and its tokenizer's."""
    config, *weights = network_files(names, "", half=half)
    if TOKENIZER not in names:
        raise Unfit("describer.incomplete", part=TOKENIZER)
    return (config, TOKENIZER, *weights)


def network_files(names: Names, folder: str, *, half: bool) -> tuple[str, ...]:
    """The files of a network in transformers' layout: its configuration, and its weights.

    folder: "" for the one that `names` are in.
    """
    below = f"{folder}/" if folder else ""
    config = f"{below}{NETWORK}"
    if config not in names:
        raise Unfit(
            "reference.incomplete",
            "depth.incomplete",
            "pose.incomplete",
            "detector.incomplete",
            "describer.incomplete",
            part=config,
        )
    return (config, *sorted(network_weights(names, below, "model", half=half)))


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
                "control.no_such_file",
                file=weight_name,
            )
        return (weight_name,)
    files = at_the_top(names, suffixes)
    if not files:
        raise Unfit(
            "model.no_safetensors",
            "adapter.no_safetensors",
            "embedding.no_safetensors",
            "upscaler.no_safetensors",
            "control.no_safetensors",
        )
    if len(files) > 1:
        raise Unfit(
            "model.choose_file",
            "adapter.choose_file",
            "embedding.choose_file",
            "upscaler.choose_file",
            "control.choose_file",
            files=", ".join(files[:5]),
        )
    return (files[0],)


def network_weights(names: Names, folder: str, base: str, *, half: bool) -> list[str]:
    """See `selecting.network_weights`."""
    with _whole():
        return selecting.network_weights(names, folder, base, half=half)
