"""What people are told about their data."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.chat.ui.acts import person
from bot.chat.ui.privacy import (
    ForgetId,
    Kept,
    exported_text,
    forget_text,
    forget_view,
    forgotten_text,
    privacy_embed,
    privacy_links,
)
from bot.store import Holdings, Span
from tests.language import TEXTS

SAY = TEXTS.speaker()
ALL = Span(0, 99)
NOTHING = Holdings(**dict.fromkeys(Holdings.__slots__, 0))
KEPT = Kept(image_days=90, gib=50, history_days=0)


def said(kept: Kept) -> str:
    return "\n".join(str(field.value) for field in privacy_embed(SAY, kept).fields)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (KEPT, ["kept for 90 days", "at most 50 GiB", "Kept until you use /forget"]),
        (Kept(image_days=1, gib=0, history_days=30), ["kept for 1 day.", "Kept for 30 days"]),
        (Kept(image_days=90, gib=0, history_days=0, server_days=7), ["this server, it's 7 days"]),
        (Kept(image_days=0, gib=0, history_days=5), ["to work from. Kept until you use /forget"]),
        (Kept(image_days=0, gib=0, history_days=0, contact="me_you"), ["bot: me\\_you"]),
        (KEPT, ["people who run this server can tell you"]),
    ],
)
def test_it_is_said_how_long_what_is_kept(kept: Kept, expected: list[str]) -> None:
    for part in expected:
        assert part in said(kept)


def test_a_longer_time_of_a_server_says_nothing() -> None:
    assert "this server, it's" not in said(Kept(image_days=5, gib=1, history_days=0, server_days=9))


@pytest.mark.parametrize("locale", ["en", "de", "fr"])
def test_everything_fits_into_an_embed(locale: str) -> None:
    kept = Kept(image_days=9, gib=9, history_days=9, server_days=3, workers=True, contact="x" * 200)
    embed = privacy_embed(TEXTS.speaker(locale), kept)
    assert len(embed) <= 6_000
    assert all(len(field.value or "") <= 1_024 for field in embed.fields)


def test_that_other_computers_see_the_prompts_is_said_where_it_is_so() -> None:
    alone = privacy_embed(SAY, KEPT).description
    lent = privacy_embed(SAY, replace(KEPT, workers=True)).description
    assert "isn't passed on" in str(alone)
    assert "isn't passed on" not in str(lent)
    assert "Other computers generate images for the bot" in str(lent)


async def test_what_the_owner_has_published_is_linked() -> None:
    assert privacy_links(SAY, KEPT) is None
    kept = Kept(image_days=1, gib=1, history_days=0, terms_url="https://example.org/t")
    view = privacy_links(SAY, kept)
    assert view is not None
    assert [getattr(item, "url", None) for item in view.children] == ["https://example.org/t"]


def test_what_goes_is_counted_and_what_stays_is_named() -> None:
    found = Holdings(
        **{
            **dict.fromkeys(Holdings.__slots__, 1),
            "jobs": 1_200,
            "presets": 2,
        }
    )
    until = datetime(2026, 12, 6, tzinfo=UTC)
    text = forget_text(SAY, found, ALL, until, aside=True)
    assert "1,200 requests" in text
    assert "3 presets" in text
    assert "your settings" in text
    for stays in (
        "blocked stays",
        "others made",
        "Backups may still",
        "Damaged copies",
        "shared can stay",
    ):
        assert stays in text
    assert len(text) <= 2_000
    of_a_day = forget_text(SAY, found, Span(5, 9), until, aside=False)
    assert "Your settings stay" in of_a_day
    assert "- your settings" not in of_a_day


async def test_shared_presets_are_asked_about() -> None:
    one, several = [
        [str(getattr(item, "custom_id", "")) for item in forget_view(SAY, found, ALL).children]
        for found in (
            NOTHING,
            Holdings(**{**dict.fromkeys(Holdings.__slots__, 0), "shared_presets": 1}),
        )
    ]
    assert one == [str(ForgetId(0, 99, 0))]
    assert several == [str(ForgetId(0, 99, 0)), str(ForgetId(0, 99, 1))]


def test_there_is_something_to_forget_or_not() -> None:
    only = {**dict.fromkeys(Holdings.__slots__, 0), "settings": 1}
    assert not NOTHING.anything(ALL)
    assert Holdings(**only).anything(ALL)
    assert not Holdings(**only).anything(Span(5, 9))
    assert not Holdings(**{**only, "settings": 0, "blocks": 1}).anything(ALL)


def test_it_is_said_what_is_still_there() -> None:
    until = datetime(2026, 12, 6, tzinfo=UTC)
    text = forgotten_text(
        SAY, messages=1, stay=2, traces=True, blocked=True, copies_until=until, aside=True
    )
    assert f"<t:{int(until.timestamp())}:D>" in text
    assert "still deleting my messages" in text
    assert "2 messages with your images are still there" in text
    assert "within a day" in text
    plain = forgotten_text(
        SAY, messages=0, stay=0, traces=False, blocked=False, copies_until=None, aside=False
    )
    assert plain.splitlines()[1:] == [SAY("forget.no_copies")]


def test_an_export_says_what_is_missing() -> None:
    text = exported_text(SAY, parts=2, jobs=1, sent=0, pruned=3, too_large=0, left_out=1_000)
    assert text.splitlines() == [
        "That's everything, in 2 files.",
        "- 1 request",
        "- 0 images",
        "- 3 images aren't there any more, because their files were deleted to make room.",
        "- 1,000 older images didn't fit. Export them with from and to.",
    ]


def test_someone_who_was_forgotten_has_no_name() -> None:
    assert person(SAY, "") == "[deleted]"
    assert person(SAY, "discord:7") == "<@7>"
