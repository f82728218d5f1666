"""Every family has what belongs to one: both halves, a tiny model, a header, a licence, words."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from bot.texts.language import Texts
from catalog.families import FAMILIES, Family
from catalog.weight_files.autoencoders import autoencoder
from catalog.weight_files.pipeline import folder_facts
from tests.catalog.weight_files.headers import NAMES, shapes_of

ROOT: Final = Path(__file__).parents[3]
LANGUAGES: Final = ("en-US", "de", "fr")


def _sdxl(folder: Path) -> None:
    from tests.engine import tiny_model

    tiny_model.build(folder)


def _sd15(folder: Path) -> None:
    from tests.engine import tiny_sd15

    tiny_sd15.build(folder)


def _flux2(folder: Path) -> None:
    from tools.untrained import flux2 as tiny_model

    tiny_model.build(folder)


def _zimage(folder: Path) -> None:
    from tools.untrained import zimage as tiny_model

    tiny_model.build(folder)


def _anima(folder: Path) -> None:
    from tools.untrained import anima as tiny_model

    tiny_model.build(folder)


TINY: Final[dict[str, Callable[[Path], None]]] = {
    "sdxl": _sdxl,
    "sd15": _sd15,
    "flux2": _flux2,
    "zimage": _zimage,
    "anima": _anima,
}
"""Family → what writes a tiny model of it into a folder."""
HEADERS: Final = {
    "sdxl": "sdxl",
    "sd15": "sd15",
    "flux2": "flux2-klein-4b",
    "zimage": "zimage",
    "anima": "anima-original",
}
"""Family → a published model of it in tests/catalog/weight_files/headers."""


def lacks(key: str, facts: Family | None) -> Iterator[str]:
    """What is missing for the family of this key."""
    from bot.engine.families import FAMILIES as ENGINES

    engine = ENGINES.get(key)
    if facts is None:
        yield "its half in catalog/families"
    if engine is None or not (ROOT / "bot" / "engine" / "families" / key).is_dir():
        yield "its half in bot/engine/families"
    if facts and engine and engine.adapter_bases != facts.adapter_bases:
        yield "adapters that both halves name alike"
    if facts and engine and {*engine.networks} != {*facts.files.weights}:
        yield "networks that both halves name alike"
    if facts and engine and any(engine.prefixes(n) != names for n, names in facts.lent.items()):
        yield "names in single files that both halves know"
    if facts and engine and not {*engine.tokenizers, *engine.networks} <= {*facts.files.folders}:
        yield "folders of all networks and tokenizers"
    if key not in TINY:
        yield "a tiny model"
    if HEADERS.get(key) not in NAMES:
        yield "the header of a published model"
    if facts is None or facts.vae not in {autoencoder(shapes_of(name)) for name in NAMES}:
        yield "the header of its VAE"
    if facts is None or not facts.licence:
        yield "a licence"
    pages: dict[str, tuple[str, ...]] = {
        "docs/catalog.md": (facts.name, f"`{key}`", facts.licence) if facts else (),
        "ARCHITECTURE.md": (f"bot/engine/families/{key}/",),
    }
    for page, words in pages.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        if not words or not all(word in text for word in words):
            yield page
    for language in LANGUAGES:
        said = Texts.read().speaker(language)(
            "model.other_family", model="x", family=facts.name if facts else "", what="y"
        )
        if facts is None or facts.name not in said:
            yield f"words in {language}"


def keys() -> tuple[str, ...]:
    from bot.engine.families import FAMILIES as ENGINES

    return tuple(dict.fromkeys((*FAMILIES, *ENGINES)))


def test_no_family_lacks_anything() -> None:
    found = {key: [*lacks(key, FAMILIES.get(key))] for key in keys()}
    assert not any(found.values()), found


def test_a_family_that_is_only_begun_lacks_everything() -> None:
    assert [*lacks("new", None)] == [
        "its half in catalog/families",
        "its half in bot/engine/families",
        "a tiny model",
        "the header of a published model",
        "the header of its VAE",
        "a licence",
        "docs/catalog.md",
        "ARCHITECTURE.md",
        *(f"words in {language}" for language in LANGUAGES),
    ]


@pytest.mark.parametrize("key", TINY)
def test_a_tiny_model_is_recognised_as_one_of_its_family(tmp_path: Path, key: str) -> None:
    TINY[key](tmp_path / "tiny")
    facts = folder_facts(tmp_path / "tiny")
    assert facts.refusal is None
    assert facts.model in FAMILIES[key].architectures
