"""What the bot's status says, and which models it may name to everyone."""

import pytest

from bot.chat.ui.presence import STATE_MAX, named_models, presence_text
from catalog import Allowance, Catalog, ModelEntry
from tests.language import TEXTS

EVERYTHING = Allowance()
BASE = ModelEntry(key="base", name="SDXL Base", path="a", tags=("photo",))
RED = ModelEntry(key="red", name="Red", path="b", tags=("anime",))
ADULT = ModelEntry(key="adult", name="Vulpine", path="c", nsfw=True)
OFF = ModelEntry(key="off", name="Switched off", path="d", enabled=False)
CATALOG = Catalog({each.key: each for each in (BASE, RED, ADULT, OFF)}, {}, "base")


@pytest.mark.parametrize(
    ("models", "running", "waiting", "said"),
    [
        ((), 0, 0, "idle"),
        ((), 1, 0, "generating"),
        ((), 1, 1, "1 waiting"),
        (("SDXL Base",), 0, 0, "SDXL Base · idle"),
        (("SDXL Base",), 1, 0, "SDXL Base · generating"),
        (("SDXL Base",), 1, 3, "SDXL Base · 3 waiting"),
        (("SDXL Base",), 0, 1234, "SDXL Base · 1,234 waiting"),
        (("A", "B"), 2, 0, "A, B · generating"),
        (("A", "B", "C", "D"), 2, 0, "A, B, … · generating"),
        (("a\u202e\nname_of *it*",), 0, 0, "a name_of *it* · idle"),
    ],
)
def test_one_line_says_what_is_loaded_and_how_many_wait(
    models: tuple[str, ...], running: int, waiting: int, said: str
) -> None:
    assert presence_text(TEXTS.speaker(), models, running=running, waiting=waiting) == said


def test_it_is_said_in_the_language_of_the_server() -> None:
    german, french = TEXTS.speaker("de"), TEXTS.speaker("fr")
    assert presence_text(german, ("A",), running=1, waiting=1) == "A · 1 wartet"
    assert presence_text(german, ("A",), running=1, waiting=2) == "A · 2 warten"
    assert presence_text(french, (), running=0, waiting=0) == "libre"


def test_long_names_leave_room_for_the_rest() -> None:
    text = presence_text(TEXTS.speaker(), ("x" * 500,) * 9, running=9, waiting=10**9)
    assert len(text) <= STATE_MAX
    assert text.endswith("… · 1,000,000,000 waiting")


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (EVERYTHING, ("SDXL Base", "Red")),
        (Allowance(block=frozenset({"base"})), ("Red",)),
        (Allowance(block=frozenset({"#photo", "#anime"})), ()),
        (Allowance(allow=(frozenset({"base", "red"}), frozenset({"#anime"}))), ("Red",)),
    ],
)
def test_only_what_everyone_may_see_is_named(allowed: Allowance, names: tuple[str, ...]) -> None:
    loaded = {"base", "red", "adult", "off", "removed"}
    assert named_models(CATALOG, loaded, allowed) == names
    assert named_models(CATALOG, set(), allowed) == ()
