"""What a family lacks, of all that belongs to one."""

import ast
import re
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Final

import torch

from bot.engine.families.family import Family as Engine
from bot.texts.language import Texts
from catalog.families import TEXT_ENCODER, VAE, Family
from catalog.families.discovery import folders
from catalog.families.recognition import Shapes, Transformer
from catalog.weight_files.autoencoders import autoencoder
from catalog.weight_files.encoders import text_encoder
from catalog.weight_files.unet import unet
from tests.catalog.weight_files.headers import shapes_in
from tests.docs.test_families import untrue

CODES: Final = (
    *("model.other_family", "model.other_vae", "reference.none", "models.licence"),
    *("family.negative", "family.guidance", "family.image", "family.reference", "family.edits"),
    *("family.clip_skip", "family.text_weight"),
)
"""Sentences with the name of a family in them."""
MISFITS: Final[dict[str, Callable[[str], str]]] = {
    "en-US": lambda name: rf"\ba {name}" if name[0] in "AEIOU" else rf"\ban {name}",
    "de": lambda name: f"{name}-" if " " in name else "(?!)",  # which hyphenates it throughout
    "fr": lambda name: rf"\b(?:de|le|que) {name}" if name[0] in "AEIOUH" else "(?!)",
}
"""Language → a regular expression for a name in a sentence that is not made for it."""


def lacks(root: Path, key: str, facts: Family | None, engine: Engine | None) -> Iterator[str]:
    """What is missing for the family of this key, of which these halves were found.

    root: of the repository.
    """
    if facts is None or key not in folders([str(root / "catalog" / "families")]):
        yield "its half in catalog/families"
    if engine is None or key not in folders([str(root / "bot" / "engine" / "families")]):
        yield "its half in bot/engine/families"
    tests = root / "tests"
    if not _builds(tests / "engine" / "families" / key / "tiny_model.py"):
        yield "a tiny model"
    if facts is None:
        return
    if engine and engine.adapter_bases != facts.adapter_bases:
        yield "adapters that both halves name alike"
    if engine and (engine.networks != facts.networks or engine.denoiser != facts.networks[0]):
        yield "networks that both halves name alike"
    if {*facts.networks} != {*facts.files.weights}:
        yield "files of each of its networks"
    if engine and any(engine.prefixes(name) != names for name, names in facts.lent.items()):
        yield "names in single files that both halves know"
    if engine and not {*engine.tokenizers, *facts.networks} <= {*facts.files.folders}:
        yield "folders of all networks and tokenizers"
    headers = tests / "catalog" / "weight_files" / "headers"
    shapes = [shapes_in(file) for file in sorted(headers.glob(f"{key}*.txt"))]
    if not any(is_of(facts, each) for each in shapes):
        yield "the header of a published model"
    denoiser = facts.parts[0]
    if not any(_fits(denoiser.gib, gib(each)) for each in shapes):
        yield "the memory of its denoiser"
    if engine:
        large = engine.formats(engine.denoiser, torch.bfloat16, in_eight_bits=True).int8
        if not any(_fits(denoiser.gib_in_8, gib(each, large)) for each in shapes):
            yield "the memory of its denoiser in 8 bits"
    encoders = [shapes_in(file) for file in sorted(headers.glob("encoder-*.txt"))]
    named = {found.name for each in encoders if (found := text_encoder(each, {}))}
    if facts.encoder and facts.encoder not in named:
        yield "the header of its text encoder"
    if facts.encoder and facts.lent.get(TEXT_ENCODER) is None:
        yield "the names of its text encoder in single files"
    vaes = [shapes_in(file) for file in sorted(headers.glob("vae-*.txt"))]
    vaes = [each for each in vaes if autoencoder(each) == facts.vae]
    if not vaes:
        yield "the header of its VAE"
    if not any(
        _fits(part.gib, gib(each)) for part in facts.parts if part.name == VAE for each in vaes
    ):
        yield "the memory of its VAE"
    if not facts.licence:
        yield "a licence"
    page = (root / "docs" / "catalog.md").read_text(encoding="utf-8")
    yield from (f"docs/catalog.md, {row}" for row in untrue(page, facts))
    texts = Texts.read(root / "bot" / "texts")
    for language in MISFITS:
        yield from (f"{code} in {language}" for code in unspoken(texts, language, facts.name))


def is_of(facts: Family, shapes: Shapes) -> bool:
    """Whether the family takes a file with these tensors for one of its models."""
    recognition = facts.recognition
    if isinstance(recognition, Transformer):
        return recognition.model("", shapes) in facts.architectures
    found = unet(shapes)
    return found is not None and found.model in facts.architectures and not found.task


def unspoken(texts: Texts, language: str, name: str) -> Iterator[str]:
    """The sentences about families that a language has not got, or that this name does not suit."""
    say = texts.speaker(language)
    for code in CODES:
        params = dict.fromkeys(("model", "what", "field", "key", "licence", "name"), "x")
        told = say(code, family=name, **params)
        misfit = MISFITS[language](re.escape(name))
        if not texts.translation(code, language) or name not in told or re.search(misfit, told):
            yield code


def _builds(file: Path) -> bool:
    """Whether a module has a function `build`, its own or another's."""
    if not file.is_file():
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: list[str] = []
    for each in tree.body:
        if isinstance(each, ast.FunctionDef):
            names.append(each.name)
        elif isinstance(each, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in each.names]
    return "build" in names


def gib(shapes: Shapes, in_eight_bits: str = "") -> float:
    """The memory that these tensors take in 16 bits; in 8 bits, with a scale for each row, those
    linear layers whose paths match `in_eight_bits`."""
    taken = 0
    for name, shape in shapes.items():
        path, _, leaf = name.rpartition(".")
        small = leaf == "weight" and len(shape) == 2 and re.fullmatch(in_eight_bits, path)
        taken += prod(shape) + 4 * shape[0] if small else 2 * prod(shape)
    return taken / 2**30


def _fits(said: float, true: float) -> bool:
    return round(true, 2) == said
