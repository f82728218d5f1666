"""The result's message: within Discord's limits whatever is in it, and short in the usual case."""

from dataclasses import replace
from typing import Any, cast

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.ui.actions import DIRECT, HIDDEN, SHOWN
from bot.chat.ui.facts import facts_line
from bot.chat.ui.markdown import cut_at_word
from bot.chat.ui.result import PROMPT_SHOWN, result_layout
from bot.progress import Notice
from bot.request import (
    AdapterUse,
    Box,
    ControlUse,
    GenerationRequest,
    Hires,
    InitImage,
    Mix,
    Reference,
    Variation,
)
from catalog import SCHEDULERS, ModelEntry
from tests.chat.ui.test_markdown import live
from tests.chat.ui.test_messages import KEYS, LONG, REQUESTS, job
from tests.language import TEXTS
from tests.parameters import examples
from tests.store.factories import record, request

SAY = TEXTS.speaker()
DEMO = ModelEntry(
    key="demo",
    name="Demo",
    path="a/b",
    size=(64, 64),
    min_side=64,
    max_side=512,
    scheduler="Euler",
)


def texts(view: discord.ui.LayoutView) -> list[str]:
    return [one.content for one in view.walk_children() if isinstance(one, discord.ui.TextDisplay)]


def gallery(view: discord.ui.LayoutView) -> list[discord.MediaGalleryItem]:
    [shown] = [one for one in view.walk_children() if isinstance(one, discord.ui.MediaGallery)]
    return shown.items


def ids(view: discord.ui.LayoutView) -> list[str]:
    found = [getattr(one, "custom_id", None) for one in view.walk_children()]
    return [str(custom_id) for custom_id in found if custom_id]


def check_limits(view: discord.ui.LayoutView) -> None:
    """As Discord checks it (docs, components/reference)."""
    payload = cast("Any", view).to_components()
    assert 1 <= len(payload) <= 40
    assert view.total_children_count <= 40
    assert sum(map(len, texts(view))) <= 4_000
    assert all(text.strip() for text in texts(view))
    assert len(set(ids(view))) == len(ids(view))
    for item in gallery(view):
        assert 1 <= len(item.description or "") <= 1_024


def layout(asked: GenerationRequest, **fields: Any) -> discord.ui.LayoutView:
    images = [record(n, seed=asked.image_seed(n)) for n in range(asked.count)]
    files = [f"{n}.png" for n in range(asked.count)]
    given: dict[str, Any] = {"files": files, "model": DEMO, **fields}
    return result_layout(SAY, job(asked), images, **given)


@settings(max_examples=examples(60))
@given(
    asked=REQUESTS,
    notes=st.lists(LONG.filter(str.strip), max_size=6),
    name=KEYS,
    heading=st.none() | st.just("<@1>"),
    rows=st.sampled_from([SHOWN, HIDDEN, DIRECT]),
    known=st.booleans(),
)
def test_it_keeps_to_the_limits(
    asked: GenerationRequest,
    notes: list[str],
    name: str,
    heading: str | None,
    rows: Any,
    known: bool,
) -> None:
    model = DEMO.model_copy(update={"name": name}) if known else None
    view = layout(asked, notes=notes, model=model, heading=heading, actions=rows)
    check_limits(view)
    assert not live(texts(view)[1 if heading else 0])


def test_the_longest_one() -> None:
    """Every character needs a backslash."""
    asked = request(
        prompt="*" * 2000,
        negative="_" * 2000,
        model="m" * 48,
        adapters=tuple(AdapterUse(f"{'k' * 47}{n}", -1.2345678, -2.3456789) for n in range(9)),
        count=4,
        scheduler=max(SCHEDULERS, key=len),
        hires=Hires(1.25, 0.4, 100),
        init_image=InitImage("a" * 64, 0.123456789),
        reference=Reference("b" * 64, 0.123456789),
    )
    check_limits(layout(asked, model=None, notes=["x" * 1000] * 4))


def test_the_images_come_first_and_then_what_made_them() -> None:
    asked = request(prompt="a *red* fox", count=2, negative="", height=64)
    view = layout(asked, notes=["Note."])
    assert isinstance(view.children[0], discord.ui.MediaGallery)
    rows = [one for one in view.children if isinstance(one, discord.ui.ActionRow)]
    assert [item.media.url for item in gallery(view)] == [
        "attachment://0.png",
        "attachment://1.png",
    ]
    assert texts(view) == [
        r"a \*red\* fox",
        "-# **Demo** · ink 0.6 · 10 steps · seeds `42` `43`",
        "Note.",
    ]
    assert [len(row.children) for row in rows] == [3, 3]


def test_only_what_differs_from_the_models_defaults_is_named() -> None:
    plain = request(adapters=(), steps=DEMO.steps.default, height=64)
    assert facts_line(SAY, plain, DEMO, [42]) == "**Demo** · seed `42`"
    assert facts_line(SAY, plain, None, [42]) == (
        "**demo** · 64×64 · 30 steps · guidance 7.5 · Euler · seed `42`"
    )
    asked = request(
        adapters=(AdapterUse("ink", 0.8, 0.5), AdapterUse("oil", 1.0)),
        preset="fast",
        width=832,
        height=1216,
        guidance=2.0,
        clip_skip=3,
        scheduler="Heun",
        hires=Hires(1.5, 0.4, 30),
        init_image=InitImage("a" * 64, 0.6),
        reference=Reference("b" * 64, 1.0),
        tile=True,
    )
    assert facts_line(SAY, asked, DEMO, [1]) == (
        "**Demo** · ink 0.8 0.5 · oil 1 · fast · 1248×1824 (1.5×) · 10 steps · guidance 2 · Heun"
        " · clip skip 3 · seamless edges · from an image, strength 0.6 · with a reference, weight 1"
        " · seed `1`"
    )


def test_variations_are_named_with_the_seed_that_they_vary() -> None:
    asked = request(adapters=(), steps=DEMO.steps.default, height=64, seed=12, count=2)
    once = replace(asked, variation=Variation(7, 0.2))
    assert facts_line(SAY, once, DEMO, [12, 13]) == (
        "**Demo** · seed `7` · variation `12:0.2` `13:0.2`"
    )
    twice = replace(asked, variation=Variation(7, 0.2, (Mix(3, 0.4),)))
    assert facts_line(SAY, twice, DEMO, [13]).endswith("seed `7` · variation `3:0.4, 13:0.2`")


def test_a_negative_prompt_of_the_models_own_is_not_repeated() -> None:
    model = DEMO.model_copy(update={"default_negative": "blurry"})
    assert "Without" not in texts(layout(request(negative="blurry"), model=model))[1]
    assert texts(layout(request(negative="rain"), model=model))[1].endswith("\n-# Without: rain")


def test_a_warning_is_coloured_and_a_spoiler_blurred() -> None:
    def box(view: discord.ui.LayoutView) -> discord.ui.Container[Any]:
        [found] = [one for one in view.children if isinstance(one, discord.ui.Container)]
        return found

    assert box(layout(request(), notes=["Note."])).accent_colour is None
    warned = job(request(), warnings=(Notice("memory.lowered", {"profile": "8gb"}),))
    shown = result_layout(SAY, warned, [], files=[], model=DEMO, notes=["Note."])
    assert box(shown).accent_colour is not None
    assert not gallery(layout(request()))[0].spoiler
    assert gallery(layout(request(), spoiler=True))[0].spoiler


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("a red fox", 20, "a red fox"),
        ("a red fox in the snow", 12, "a red fox …"),
        ("a red, fox", 8, "a red …"),
        ("x" * 30, 10, "x" * 10 + " …"),
        ("*" * 30, 3, r"\*\*\* …"),
    ],
)
def test_a_long_prompt_is_cut_between_words(text: str, limit: int, shown: str) -> None:
    assert cut_at_word(text, limit) == shown


@given(LONG)
def test_no_cut_prompt_is_too_long_or_empty(text: str) -> None:
    cut = cut_at_word(text or "x", PROMPT_SHOWN)
    assert cut.strip()
    assert len(cut) <= 2 * PROMPT_SHOWN + 2


KEPT = {
    "a mask": (InitImage("a" * 64, 1.0, "b" * 64), "a part repainted"),
    "a weak one": (
        InitImage("a" * 64, 0.4, "b" * 64),
        "a part repainted · from an image, strength 0.4",
    ),
    "zoomed": (InitImage("a" * 64, 1.0, box=Box(11, 11, 43, 43)), "zoomed out 1.49×"),
    "zoomed twice": (InitImage("a" * 64, 1.0, box=Box(16, 16, 32, 32)), "zoomed out 2×"),
    "to two sides": (
        InitImage("a" * 64, 1.0, box=Box(16, 0, 32, 64)),
        "extended: left 50% and right 50%",
    ),
    "all around, but not alike": (
        InitImage("a" * 64, 1.0, box=Box(4, 8, 40, 40)),
        "extended: left 10%, up 20%, right 50%, and down 40%",
    ),
    "both": (
        InitImage("a" * 64, 1.0, "b" * 64, Box(0, 0, 64, 32)),
        "a part repainted · extended: down 100%",
    ),
}


@pytest.mark.parametrize("kind", KEPT)
def test_what_was_kept_of_an_image_is_said(kind: str) -> None:
    init, said = KEPT[kind]
    asked = request(adapters=(), width=64, height=64, steps=30, init_image=init)
    assert facts_line(SAY, asked, DEMO, [42]) == f"**Demo** · {said} · seed `42`"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", "erweitert: links 50 % und rechts 50 %"),
        ("fr", "étendue\u00a0: 50\u00a0% à gauche et 50\u00a0% à droite"),
    ],
)
def test_sides_are_said_as_the_language_says_them(language: str, said: str) -> None:
    init, _ = KEPT["to two sides"]
    asked = request(adapters=(), width=64, height=64, steps=30, init_image=init)
    assert said in facts_line(TEXTS.speaker(language), asked, DEMO, [42])


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (ControlUse("canny", "a" * 64, "canny", 0.8), "follows edges: canny 0.8"),
        (
            ControlUse("union", "a" * 64, "openpose", 1.0, 0.1, 0.625),
            "follows a pose: union 1, 10–62.5% of the steps",
        ),
        (ControlUse("deep", "a" * 64, "depth", is_map=True), "follows depth: deep 1, as a map"),
    ],
)
def test_what_a_controlnet_follows_is_named_in_a_word(use: ControlUse, said: str) -> None:
    both = request(controls=(use, use))
    assert facts_line(SAY, both, DEMO, [1]).count(f" · {said} · ") == 1
    assert facts_line(SAY, both, DEMO, [1]).count(said) == 2
    german = TEXTS.speaker("de")
    assert facts_line(german, both, DEMO, [1]).count("folgt ") == 2
