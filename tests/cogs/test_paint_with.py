"""The form for an image with an entry of a list: what it shows is what is generated."""

from dataclasses import replace
from functools import partial

from bot.levels import Defaults, Rules
from bot.levels.defaults import with_defaults as filled
from bot.previews import Shelf
from bot.request import Draft
from bot.request.changes import draft_of
from catalog import AdapterEntry, Catalog, ModelEntry
from cogs.paint_with import fields_for, with_defaults

MODEL = ModelEntry(key="demo", name="Demo", path="a/b", default_negative="blurry")
LORAS = {key: AdapterEntry(key=key, name=key, path="a/b") for key in ("ink", "frost")}
CATALOG = Catalog({"demo": MODEL}, LORAS, "demo")
RULES = Rules(
    defaults=Defaults(
        loras=("ink:0.5:0.25, gone",),
        size=("512x640",),
        steps=(12,),
        guidance=(4.0,),
        scheduler=("Euler",),
        negative=("a crowd",),
    )
)


def shown(shelf: Shelf, key: str, rules: Rules = RULES) -> tuple[str, str, list[str]]:
    """Negative prompt, LoRAs, and the other lines."""
    fill = partial(filled, rules=rules, catalog=CATALOG, nsfw=False, adapters_max=4)
    fields = with_defaults(fields_for(CATALOG, shelf, key, nsfw=False), fill)
    return fields.negative, fields.loras, fields.more.splitlines()


def test_it_shows_the_defaults_that_hold_there() -> None:
    lines = ["size: 512x640", "steps: 12", "guidance: 4", "scheduler: Euler"]
    assert shown(Shelf.MODELS, "demo") == ("a crowd", "ink:0.5:0.25", lines)
    assert shown(Shelf.LORAS, "frost") == ("a crowd", "frost:1", lines)
    assert shown(Shelf.MODELS, "demo", Rules()) == ("blurry", "", [])
    assert shown(Shelf.MODELS, "demo", Rules(steps_max=20)) == ("blurry", "", ["steps: 20"])


def test_what_it_shows_is_what_would_have_been_put_in() -> None:
    fill = partial(filled, rules=RULES, catalog=CATALOG, nsfw=False, adapters_max=4)
    fields = with_defaults(fields_for(CATALOG, Shelf.MODELS, "demo", nsfw=False), fill)
    typed = draft_of(replace(fields, prompt="a fox"))
    expected = fill(Draft(prompt="a fox", model="demo"))
    for name in ("negative", "size", "steps", "guidance", "scheduler"):
        assert getattr(typed, name) == getattr(expected, name)
