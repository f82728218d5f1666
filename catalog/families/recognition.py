"""What tells the files of a family from all others: names and shapes; no tensor is read.

What is of no family is told in `catalog.weight_files`, which asks the families first. So each
has to be certain: what it takes for its own is not asked about again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Name of each tensor in a file → its shape."""
Widths: TypeAlias = Mapping[str, tuple[int, int]]
"""Module, with `_` for every dot → the widths of its input and output; 0 where they are unknown."""
Words: TypeAlias = tuple[tuple[str, str], ...]
"""Mark → a base model; a more particular one comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseNames:
    """What metadata and websites call the bases of a family's adapters, which anyone may write.

    Marks are in lower case and without spaces and dashes.

    bases: in names of architectures. checkpoints: in names of the model that was trained from.
    offspring: bases that adapters of the first may also be for, by the names of both.
    alike: base that tensors tell → those that this may mean, one of which metadata tell.
    """

    bases: Words = ()
    checkpoints: Words = ()
    offspring: Words = ()
    alike: tuple[tuple[str, frozenset[str]], ...] = ()


def any_folder(_: Mapping[str, Any], __: Mapping[str, Any]) -> str:
    """For a family whose pipelines have no other models."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A family whose denoiser is a transformer.

    Of its models a file needs no more than that; the configuration that completes it has the rest.

    model: which of the family's `architectures` is in a file with these tensors, the names of its
        denoiser behind this prefix; "" if none is.
    pipeline: class of its pipelines in diffusers, without "Pipeline". others: of those of variants
        that have their own, whose names tell them.
    folder: what a folder with such a pipeline has instead of a model of the family; "" if it has
        one. Called with its index and the transformer's configuration, empty where there is none.
    resized: how many blocks the denoiser in a file with these tensors has, in words, if that is not
        as many as the configuration says that completes it; "" if it is.
    guided: whether the denoiser in a file with these tensors is told its guidance; None if all
        variants are alike in that.
    adapter_base: which of the family's `adapter_bases` an adapter is for; "" if it is for none.
        Called with the names of all of its tensors, `_` for every dot, each preceded by a line
        break, and with the widths of the modules that end in `telling`.
    """

    model: Callable[[str, Shapes], str]
    pipeline: str
    others: tuple[str, ...] = ()
    folder: Callable[[Mapping[str, Any], Mapping[str, Any]], str] = any_folder
    resized: Callable[[Shapes], str] = lambda _: ""
    guided: Callable[[Shapes], bool | None] = lambda _: None
    adapter_base: Callable[[str, Widths], str]
    telling: tuple[str, ...] = ()
    base_names: BaseNames = BaseNames()


@dataclass(frozen=True, slots=True, kw_only=True)
class UNet:
    """A family whose denoiser is a UNet that reads the states of CLIP.

    context: width of the text embeddings that its cross-attention reads.
    owns: whether a UNet is of this family that reads embeddings of this width and of which the
        embedding of sizes is this wide; 0 where there is none.
    pipelines: what the names of its pipelines in diffusers begin with; "" where they tell nothing.
    encoders: what the names of its text encoders begin with in a single file: of its authors, of
        diffusers and of ComfyUI.
    embeddings: widths of the vectors of an embedding, one for each of the text encoders.
    smaller: name of a model with fewer layers in a file with these tensors, its names behind this
        prefix, and hub id of its configuration; two empty ones if it has them all.
    adapter_base: as `Transformer.adapter_base`, for an adapter whose widths tell nothing. Called
        with the names, and whether it has a cross-attention of a width that no model is known for.
    """

    context: int
    owns: Callable[[int, int], bool]
    pipelines: str = ""
    encoders: tuple[tuple[str, ...], ...]
    embeddings: tuple[int, ...]
    smaller: Callable[[str, Shapes], tuple[str, str]] = lambda _, __: ("", "")
    adapter_base: Callable[[str, bool], str]
    base_names: BaseNames = BaseNames()


def input_width(widths: Widths, ends: tuple[str, ...]) -> int:
    """The width of the input of the first module with one of these ends; 0 without one."""
    return next((wide for module, (wide, _) in widths.items() if wide and module.endswith(ends)), 0)


def output_width(widths: Widths, ends: tuple[str, ...]) -> int:
    """The same of its output."""
    return next((wide for module, (_, wide) in widths.items() if wide and module.endswith(ends)), 0)


def counted(prefix: str, shapes: Shapes) -> int:
    """How many numbers follow `prefix` in these names."""
    return len({n.removeprefix(prefix).partition(".")[0] for n in shapes if n.startswith(prefix)})
