"""The wildcards that come with the bot: every line can be drawn."""

from pathlib import Path

from bot.request.dynamic import Place, draw, parse
from bot.request.dynamic.chance import Chance
from catalog.wildcard_files import WILDCARDS, WildcardReader

SHIPPED, _ = WildcardReader(Path(__file__).parents[3] / "catalog" / WILDCARDS).read()


def test_every_line_can_be_drawn() -> None:
    place = Place(SHIPPED, nsfw=False)
    lines = [line for file in SHIPPED.files.values() for line in file.values]
    assert len(lines) > 100
    for line in lines:
        drawn = draw(parse(line), Chance(0, "prompt"), place)
        assert drawn
        assert not any(sign in drawn for sign in "{|}_")
