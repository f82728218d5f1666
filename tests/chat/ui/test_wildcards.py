"""Pages of wildcards: within Discord's limits, whatever the files hold."""

import pytest

from bot.chat.ui.wildcards import wildcard_choices, wildcards_meant, wildcards_page
from catalog import WildcardFile, Wildcards
from cogs.wildcards import SEARCH_MAX, WildcardsPageId
from tests.language import TEXTS

SAY = TEXTS.speaker("en")
LONG = WildcardFile(tuple(f"`*{'x' * 200}* {n}" for n in range(500)))
MANY = Wildcards({f"folder {'x' * 80}/{n:02}": LONG for n in range(20)})


def test_a_page_fits_into_a_message() -> None:
    names = MANY.offered(nsfw=False)
    for wanted, shown in ((0, 0), (3, 3), (99, 3), (-1, 0)):
        embed, page, pages = wildcards_page(SAY, names, wanted, wildcards=MANY)
        assert (page, pages) == (shown, 4)
        assert len(embed) <= 6_000
        assert all(len(f.name or "") <= 256 and len(f.value or "") <= 1_024 for f in embed.fields)
    embed, _, pages = wildcards_page(SAY, names[:1], 0, wildcards=MANY)
    assert pages == 1
    assert 0 < len(embed.description or "") <= 4_096


def test_none_at_all_and_none_that_match_are_told_apart() -> None:
    assert wildcards_page(SAY, (), 0, wildcards=Wildcards())[0].description == (
        "There are no wildcards here yet."
    )
    assert wildcards_page(SAY, (), 0, wildcards=MANY)[0].description == "No wildcard matches that."


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("colour", ["colour"]),
        ("__colour__", ["colour"]),
        ("col", ["colour", "colour-warm"]),
        ("animals/*", ["animals/birds"]),
        ("", ["animals/birds", "colour", "colour-warm"]),
        ("secret", []),
    ],
)
def test_what_is_meant(text: str, names: list[str]) -> None:
    all_names = ("animals/birds", "colour", "colour-warm", "nsfw/secret")
    wildcards = Wildcards(dict.fromkeys(all_names, WildcardFile(("x",))))
    assert [*wildcards_meant(text, wildcards, nsfw=False)] == names


def test_choices_and_buttons_carry_what_is_searched_for() -> None:
    assert len(wildcard_choices("", MANY, nsfw=False)) == 20
    wanted = WildcardsPageId(10**6, "x" * SEARCH_MAX)
    assert WildcardsPageId.parse(str(wanted)) == wanted
