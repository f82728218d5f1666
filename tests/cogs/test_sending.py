"""What may be shown in another channel than the one it was asked for in."""

from typing import Any

import pytest

from bot.errors import Refused
from bot.levels import Rules
from cogs.history.sending import check_showable
from tests.store.factories import discord_origin


@pytest.mark.parametrize(
    ("rules", "origin", "nsfw", "code"),
    [
        ({}, {}, False, None),
        ({}, {"withheld": "shown"}, True, "publish.withheld"),
        ({"paint": False}, {}, False, "levels.no_painting.server"),
        ({"image_check": "private"}, {}, False, "history.unchecked"),
        ({"image_check": "private"}, {"image_check": "off"}, False, "history.unchecked"),
        ({"image_check": "private"}, {"image_check": "spoiler"}, False, None),
        ({"image_check": "private"}, {}, True, None),
    ],
)
def test_a_place_shows_what_it_would_have_made(
    rules: dict[str, Any], origin: dict[str, Any], nsfw: bool, code: str | None
) -> None:
    def check() -> None:
        check_showable(Rules(**rules), discord_origin(**origin), nsfw=nsfw)

    if code is None:
        check()
        return
    with pytest.raises(Refused) as raised:
        check()
    assert raised.value.code == code
