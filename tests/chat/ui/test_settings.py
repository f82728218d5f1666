"""How settings read: every value with where it comes from, and nothing that may not be named."""

from typing import Any

import pytest
from discord.ui import TextDisplay

from bot.chat.ui.settings import (
    SettingFormId,
    names_gated,
    names_of,
    panel_layout,
    setting_form,
    setting_named,
)
from bot.chat.ui.settings.groups import groups_of
from bot.chat.ui.settings.panel import choose_layout
from bot.chat.ui.settings.values import changed_line, setting_line
from bot.errors import InvalidRequest
from bot.levels import Caps, Level, resolve
from bot.levels.entering import KINDS, LONGEST
from bot.levels.fields import LIST_MAX, ROLES_MAX, ChannelFields, ServerFields
from bot.levels.showing import SeenFrom
from catalog import AdapterEntry, Catalog, EmbeddingEntry, Embeddings, ModelEntry
from tests.language import TEXTS

SAY = TEXTS.speaker()
CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo, flat", path="a/b"),
        "adult": ModelEntry(key="adult", name="For adults", path="a/b", nsfw=True),
    },
    {"secret": AdapterEntry(key="secret", name="Silk", path="a/b", nsfw=True)},
    "demo",
    embeddings=Embeddings(
        {"worse": EmbeddingEntry(key="worse", name="W", path="a/b", token="badword", nsfw=True)}
    ),
)


def line(
    name: str,
    server: ServerFields | None = None,
    channel: ChannelFields | None = None,
    *,
    nsfw: bool = False,
    **caps: Any,
) -> str:
    """As a channel's panel says it."""
    fields = {Level.SERVER: server or ServerFields(), Level.CHANNEL: channel or ChannelFields()}
    owner = Caps(**caps)
    rules = resolve(owner, fields[Level.SERVER], fields[Level.CHANNEL])  # type: ignore[arg-type]
    seen_from = SeenFrom(Level.CHANNEL, rules, fields, owner)
    return setting_line(SAY, Level.CHANNEL, name, seen_from.shown(name), CATALOG, nsfw=nsfw)


@pytest.mark.parametrize(
    ("name", "server", "channel", "said"),
    [
        ("model", {}, {}, "**Model:** Demo, flat *(the bot's)*"),
        ("model", {"model": "demo"}, {}, "**Model:** Demo, flat *(from the server)*"),
        ("steps", {}, {}, "**Steps:** not set"),
        ("allow_loras", {}, {}, "**Allowed LoRAs:** not set"),
        ("paint", {}, {}, "**Generate images:** Yes *(the bot's)*"),
        ("max_steps", {"max_steps": 9}, {"max_steps": 60}, "**Most steps:** 9 *(from the server)*"),
        (
            "allow_models",
            {"allow_models": ("demo", "#warm")},
            {"allow_models": ("demo",)},
            "**Allowed models:** `demo`, `#warm` *(from the server)*, `demo` *(this channel's)*",
        ),
        (
            "priority_roles",
            {"priority_roles": (1,)},
            {"priority_roles": (2,)},
            "**Roles that go first:** <@&1> *(from the server)*, <@&2> *(this channel's)*",
        ),
        (
            "quota",
            {"quota": 20},
            {"quota": 5},
            "**Images per person in 24 hours:** 50 *(from the bot's owner)*, "
            "20 *(from the server)*, 5 *(this channel's)*",
        ),
        (
            "image_check",
            {"image_check": "refuse"},
            {"image_check": "off"},
            "**Image check:** Don't show it, except in age-restricted channels *(from the server)*",
        ),
        ("image_check", {}, {}, "**Image check:** Off *(the bot's)*"),
        (
            "cooldown",
            {},
            {},
            "**Seconds between two requests:** 3 *(from the bot's owner)*",
        ),
    ],
)
def test_each_value_that_holds_is_shown_with_its_level(
    name: str, server: dict[str, Any], channel: dict[str, Any], said: str
) -> None:
    assert (
        line(name, ServerFields(**server), ChannelFields(**channel), quota=50, cooldown=3.0) == said
    )


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("model", "adult", "adult"),
        ("loras", "secret:0.8", "secret"),
        ("loras", "Silk:0.8", "Silk"),
        ("negative", "rain, embedding:worse", "worse"),
        ("negative", "(badword:1.2)", "badword"),
        ("allow_models", ("adult", "demo"), "adult"),
        ("block_loras", ("secret",), "secret"),
    ],
)
def test_what_is_for_age_restricted_channels_is_named_only_there(
    name: str, value: Any, word: str
) -> None:
    said = {nsfw: line(name, ServerFields(**{name: value}), nsfw=nsfw) for nsfw in (True, False)}
    assert word in said[True] or name == "model"
    assert word not in said[False]
    assert "age-restricted" in said[False]
    assert names_gated(name, value, CATALOG, nsfw=False)
    assert not names_gated(name, value, CATALOG, nsfw=True)


def test_other_words_are_not_taken_for_names() -> None:
    assert not names_gated("negative", "secretly worser, silky", CATALOG, nsfw=False)
    assert not names_gated("roles", (1,), CATALOG, nsfw=False)


def test_a_form_shows_what_holds_until_something_is_entered() -> None:
    server = ServerFields(steps=12)
    fields = {Level.SERVER: server, Level.CHANNEL: ChannelFields(guidance=2.5)}
    seen_from = SeenFrom(Level.CHANNEL, resolve(Caps(), server), fields, Caps())
    shown = []
    for name in ("steps", "guidance", "negative"):
        own, held = seen_from.own(name), seen_from.holding(name)
        form = setting_form(SAY, SettingFormId("channel", name), ChannelFields, own, held)
        [label] = form.children
        shown.append((label.component.default, label.component.placeholder))
    assert shown == [(None, "12"), ("2.5", "2.5"), (None, None)]


def test_the_longest_lists_can_be_shown_and_changed() -> None:
    names = tuple(f"{n:02}".ljust(38, "x") for n in range(LIST_MAX))
    form = setting_form(SAY, SettingFormId("server", "allow_models"), ServerFields, names)
    [label] = form.children
    assert len(label.component.default) <= label.component.max_length
    assert label.component.max_length == LONGEST["allow_models"] == 4_000
    roles = tuple(range(10**18, 10**18 + ROLES_MAX))
    fields = {Level.SERVER: ServerFields(roles=roles)}
    seen_from = SeenFrom(Level.SERVER, resolve(Caps()), fields, Caps())
    shown = seen_from.shown("roles")
    assert len(changed_line(SAY, Level.SERVER, "roles", shown, CATALOG, nsfw=False)) < 2_000
    view: Any = choose_layout(SAY, seen_from, "roles", "use", (), CATALOG, nsfw=False)
    assert str(view.to_components()).count("'type': 'role'") == ROLES_MAX


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_a_panel_with_the_longest_values_is_one_message(language: str) -> None:
    """Everything that was set, what was just changed, and that the audit channel refuses."""
    say = TEXTS.speaker(language)
    names = tuple(f"{n:03}".ljust(48, "x") for n in range(LIST_MAX))
    roles = tuple(range(10**18, 10**18 + ROLES_MAX))
    lists = ("allow_models", "block_models", "allow_loras", "block_loras")
    given: dict[str, Any] = {
        **dict.fromkeys(lists, names),
        "roles": roles,
        "priority_roles": roles,
        "negative": "*" * 2_000,
        "forced_negative": "x" * 500,
    }
    fields = {Level.SERVER: ServerFields(**given), Level.CHANNEL: ChannelFields(**given)}
    rules = resolve(Caps(), fields[Level.SERVER], fields[Level.CHANNEL])  # type: ignore[arg-type]
    seen_from = SeenFrom(Level.CHANNEL, rules, fields, Caps())
    longest = 0
    for group in groups_of(Level.CHANNEL):
        for name in names_of(Level.CHANNEL, group):
            shown = seen_from.shown(name)
            changed = changed_line(say, Level.CHANNEL, name, shown, CATALOG, nsfw=True)
            said = f"{changed}\n{say('settings.audit_refused')}"
            view = panel_layout(say, seen_from, group, CATALOG, nsfw=True, said=said)
            assert view.content_length() <= 4_000
            texts = [each.content for each in view.walk_children() if isinstance(each, TextDisplay)]
            assert said in texts, "nothing of what was changed is cut"
            longest = max(longest, view.content_length())
    assert longest == 4_000, "nothing is cut that has room"


@pytest.mark.parametrize("language", TEXTS.languages)
def test_a_setting_is_found_by_the_name_it_is_shown_with_and_by_its_key(language: str) -> None:
    say = TEXTS.speaker(language)
    for name in KINDS:
        label = say(f"settings.name.{name}")
        for typed in (label, f" {label.upper()} ", name, name.upper()):
            assert setting_named(say, typed, tuple(KINDS)) == name


@pytest.mark.parametrize(
    ("typed", "code", "offered"),
    [
        ("most step", "settings.unknown", "Most steps"),
        ("quotas", "settings.unknown", "Images per person in 24 hours"),
        ("xyzzyxyzzy", "settings.unlike", "Language"),
    ],
)
def test_a_setting_that_is_unknown_is_refused_with_those_it_may_be(
    typed: str, code: str, offered: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        setting_named(SAY, typed, tuple(KINDS))
    assert refused.value.code == code
    assert offered in SAY(code, **refused.value.params)
