"""Suggestions and pages of presets: Discord's limits, and nothing in a name is more than text."""

import re

import pytest

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.presets import PresetsPageId, preset_choices, presets_page, saved_choices
from bot.request import PROMPT_MAX, Options
from bot.request.keeping import NAME_MAX
from bot.request.options import LORA_MAX
from bot.store.presets import SavedPreset
from catalog import Catalog, ModelEntry, StyleEntry, Styles
from catalog.families.flux2 import FLUX2
from tests.language import TEXTS

SAY = TEXTS.speaker()
MODEL = ModelEntry(key="base", name="Base", path="a/b")
STYLES = [
    StyleEntry(key=f"style-{n}", name=f"Style {n}", description="long " * 100, prompt="p" * 2_000)
    for n in range(40)
]
CATALOG = Catalog({"base": MODEL}, {}, "base", styles=Styles(STYLES))
HOSTILE = "[x](https://e.vil) @everyone **`\u202e"


def saved(name: str, *, shared: bool = False, **options: object) -> SavedPreset:
    community = "discord:1" if shared else None
    return SavedPreset(name, "discord:7", community, name, Options.from_dict(options), 0)


MANY = [saved(f"{'n' * (NAME_MAX - 3)}{n:03}", shared=n > 20, steps=20) for n in range(40)]


def test_no_more_choices_than_discord_takes_and_none_too_long() -> None:
    for text in ("", "n", "style", f"{MANY[0].name}, n", f"{MANY[0].name}, {MANY[1].name}, dra"):
        found = preset_choices(text, MANY, MODEL, CATALOG, SAY, nsfw=False)
        assert len(found) <= CHOICES_MAX
        assert all(len(each.name) <= CHOICE_LENGTH for each in found)
        assert all(0 < len(each.value) <= CHOICE_LENGTH for each in found)
    assert len(preset_choices("", MANY, MODEL, CATALOG, SAY, nsfw=False)) == CHOICES_MAX


def test_what_is_typed_already_is_not_offered_again() -> None:
    own = [saved("dusk", steps=20), saved("dusk rain", steps=20)]
    values = [c.value for c in preset_choices("Dusk, du", own, MODEL, CATALOG, SAY, nsfw=False)]
    assert values == ["Dusk, dusk rain"]


def test_a_style_says_what_of_it_the_model_does_not_take() -> None:
    style = StyleEntry(key="fog", name="Fog", description="Grey.", prompt="fog", negative="sun")
    catalog = Catalog({}, {}, "", styles=Styles([style]))
    klein = MODEL.model_copy(update={"family": FLUX2, "variant": "distilled"})
    for model, name in (
        (klein, "Fog · without its negative prompt · Grey."),
        (MODEL, "Fog · Grey."),
        (None, "Fog · Grey."),
    ):
        [choice] = preset_choices("fog", (), model, catalog, SAY, nsfw=False)
        assert (choice.name, choice.value) == (name, "fog")


def test_each_name_is_offered_once_and_says_whose_it_is() -> None:
    own, servers = saved("Dusk", steps=20), saved("dusk", shared=True, steps=30)
    found = saved_choices("dús", [own, servers], CATALOG, SAY, nsfw=False)
    assert [(c.name, c.value) for c in found] == [("Dusk · yours", "Dusk")]
    found = saved_choices("", [servers], CATALOG, TEXTS.speaker("de"), nsfw=False)
    assert [c.name for c in found] == ["dusk · von diesem Server"]


@pytest.mark.parametrize(
    ("search", "count"), [("", 81), ("e.vil", 1), ("style", 40), ("yours", 22), ("nothing", 0)]
)
def test_a_page_is_within_the_limits_of_discord(search: str, count: int) -> None:
    full = Options(prompt="*" * PROMPT_MAX, negative="_" * PROMPT_MAX, lora="`" * LORA_MAX)
    presets = [*MANY, saved(HOSTILE[:NAME_MAX], **full.given)]
    page, pages = 0, 1
    seen = 0
    while page < pages:
        embed, page, pages = presets_page(
            SAY, presets, CATALOG, PresetsPageId(page, search), nsfw=False
        )
        assert len(embed) <= 6_000
        for field in embed.fields:
            assert 0 < len(field.name or "") <= 256
            assert 0 < len(field.value or "") <= 1_024
            assert not re.search(r"(?<!\\)[\]\[*`]", field.name or "")
            assert "@everyone" not in (field.name or "")
        seen += len(embed.fields)
        page += 1
    assert seen == count
