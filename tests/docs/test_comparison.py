"""The page that compares us with others says of us what is so, and what is missing."""

import re
import unicodedata
from typing import Final

import pytest

from bot.backend import devices_of
from bot.cards import Card
from bot.chat.ui import actions
from bot.chat.ui.actions import ActionId
from bot.cli.arguments import parser
from bot.settings import Settings, names_of
from catalog.families import DEFAULT, FAMILIES
from tests.docs.pages import ROOT, text
from tests.docs.test_covered import FIRST_WORDS, SLASH
from tests.language import TEXTS

PAGE: Final = ROOT / "docs" / "comparison.md"
PEERS: Final = 11
SAY: Final = TEXTS.speaker()


def rows() -> dict[str, list[str]]:
    """The cells of each row of a table with all the others, by its capability: ours first."""
    found = {}
    for line in text(PAGE).splitlines():
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if line.startswith("| ") and len(cells) == 1 + PEERS and name:
            assert name not in found
            found[name] = cells
    return found


ROWS: Final = rows()
OURS: Final = {name: cells[0] for name, cells in ROWS.items()}
SPANS: Final = [span for ours in OURS.values() for span in re.findall(r"`([^`]+)`", ours)]
OPTIONS: Final = {option.name for command in SLASH.values() for option in command.parameters}
MENU: Final = {SAY(f"menu.{code}") for code in ("info", "again", "edit", "use", "delete")}
ACTIONS: Final = [
    kind
    for kind in vars(actions).values()
    if isinstance(kind, type) and issubclass(kind, ActionId) and kind is not ActionId
]
BUTTONS: Final = {SAY(kind.label) for kind in ACTIONS}


def test_the_tables_are_read() -> None:
    assert len(ROWS) >= 70
    allowed = {"yes", "part", "backend", "–", "?"}
    for name, (ours, *others) in ROWS.items():
        assert re.match(r"(yes|part|no)\b", ours), name
        assert set(others) <= allowed, name


def test_each_command_is_named_and_each_named_one_exists() -> None:
    # /cancel is in two rows, and /imagine is what all of the first table is about.
    named = {span.lstrip("/") for span in SPANS if span.startswith("/")}
    assert named | {"imagine"} == FIRST_WORDS


def test_each_option_setting_and_button_is_named_and_exists() -> None:
    settings = {*names_of(), "IMAGEN_…"}
    for span in SPANS:
        assert span.startswith("/") or span in OPTIONS | settings, span
    of_imagine = {option.name for option in SLASH["imagine"].parameters}
    # What they do is said with the option that they belong to.
    assert of_imagine - {"prompt", "reference_weight"} <= set(SPANS)
    ours = " ".join(OURS.values())
    emoji = {mark for mark in ours if unicodedata.category(mark) == "So" or mark in "ℹ↔"}
    assert emoji == {kind.emoji[0] for kind in ACTIONS}
    assert set(re.findall(r"\*([^*]+)\*", ours)) == MENU


@pytest.mark.parametrize(
    ("capability", "signs"),
    [
        ("A language model that writes or improves prompts", "expand enhance improve"),
        ("Video", "video animate frames"),
        ("Favourites, a gallery, a board of the best", "gallery board leaderboard"),
        ("Skipping to the next image of a request", "next skip_image"),
        ("Choosing the VAE", "vae"),
    ],
)
def test_what_is_missing_is_still_missing(capability: str, signs: str) -> None:
    # A new command, option or button with such a name: the page has to say so now.
    words = {
        word
        for name in (*SLASH, *OPTIONS, *MENU, *BUTTONS)
        for word in (name.lower(), *re.findall(r"[a-z]+", name.lower()))
    }
    assert not OURS[capability].startswith("yes")
    assert not words & set(signs.split())


def test_the_families_languages_and_lanes_are_as_many_as_it_says() -> None:
    others = [family.name for family in FAMILIES.values() if family is not DEFAULT]
    assert OURS["Models that are not SDXL"].startswith("part")
    assert all(name in OURS["Models that are not SDXL"] for name in others)
    languages = {"de": "German", "fr": "French", "en": ""}
    assert {file.stem for file in (ROOT / "bot" / "texts").glob("*.toml")} == languages.keys()
    said = OURS["Other languages than English"]
    assert all(name in said for name in languages.values())
    assert OURS["Several GPUs or machines"].startswith("yes")
    two = [Card("A", 2**33), Card("B", 2**33)]
    assert len(devices_of(Settings.model_construct(), two)) == len(two)
    assert "worker" in parser().format_help()
