"""How image info looks: within Discord's limits whatever an image says."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.ui.info import info_embed, info_file, info_view
from bot.errors import InvalidRequest, UserError
from bot.files.image_info import ImageInfo, NamedFile, NamedLora
from bot.files.image_info.matching import Match, Matches
from bot.files.image_info.settings import Unmapped
from bot.request import MIXES_MAX
from tests.language import TEXTS
from tests.parameters import examples, mostly_long

SAY = TEXTS.speaker()
INFO = ImageInfo(
    program="ComfyUI",
    prompt="a fox",
    negative="fog",
    seed=7,
    steps=25,
    guidance=6.5,
    sampler="dpmpp_2m",
    size=(832, 1216),
)
MODEL = NamedFile("sd_xl", ("31e35c80fc",))
LORA = NamedLora("ink", (), 0.8)
RANGE = InvalidRequest("steps", "number.range", value=500, min=1, max=100)


def why(error: UserError) -> str:
    return SAY(error.code, **error.params)


def test_what_is_shown() -> None:
    matches = Matches(Match(MODEL, "base", other=True), (Match(LORA, "ink"), Match(LORA)))
    unmapped = (
        Unmapped("steps", "500", RANGE),
        Unmapped("size", "8x8", instead="64x64"),
        Unmapped("prompt", "a fox and so on", instead="a fox"),
        Unmapped("ControlNet", "canny"),
    )
    embed = info_embed(SAY, why, INFO, matches, unmapped)
    assert embed.title == "Image info · ComfyUI"
    assert embed.description == "a fox"
    assert [field.value for field in embed.fields] == [
        "fog",
        "832×1216 · 25 steps · guidance 6.5 · dpmpp\\_2m · seed `7`",
        "sd\\_xl: `base` has that name here, but it's another file\n"
        "ink:0.8: here, as `ink`\nink:0.8: not here",
        "steps: 500 won't work. Choose a value from 1 to 100.\n"
        "size: 8x8. The form has `64x64` instead.\n"
        "prompt: too long, so the form has only the beginning\nControlNet: canny",
    ]
    assert info_file(SAY, why, INFO, unmapped) is None


def test_what_was_painted_again_is_shown() -> None:
    embed = info_embed(SAY, why, replace(INFO, detail="face, hand:0.3"), Matches(None, ()), ())
    assert (embed.fields[1].value or "").endswith(" · repainted: face, hand:0.3")


def test_a_long_prompt_comes_whole_as_a_file() -> None:
    long = "fox, " * 2_000
    file = info_file(SAY, why, replace(INFO, prompt=long), ())
    assert file is not None
    assert long in file.decode()
    many = tuple(Unmapped(f"node {n}", "x" * 70) for n in range(60))
    assert info_file(SAY, why, INFO, many) is not None
    shown = info_embed(SAY, why, INFO, Matches(), many).fields[-1].value
    assert shown is not None
    assert len(shown) <= 1_024
    assert shown.endswith("\n…")


def test_a_variation_of_variations_is_whole() -> None:
    mixes = [f"{2**32 - n}:{0.1 + 0.2}" for n in range(1, MIXES_MAX + 1)]
    info = replace(INFO, variation=", ".join(mixes))
    shown = info_embed(SAY, why, info, Matches(), ()).fields[1].value
    assert str(shown).endswith("variation " + ", ".join(f"`{mix}`" for mix in mixes))
    assert info_file(SAY, why, info, ()) is None


@pytest.mark.parametrize("locale", mostly_long(["en-US", "de", "fr"], usual=["de"]))
@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_it_always_fits(locale: str, data: st.DataObject) -> None:
    anything = st.text(max_size=40) | st.sampled_from(["*" * 5_000, "`" * 300, "1." * 3_000, "@"])
    text = data.draw(anything)
    loras = tuple(Match(NamedLora(data.draw(anything), (), 1.0)) for _ in range(30))
    info = ImageInfo(program=text, prompt=text, negative=text, sampler=text, schedule=text, seed=1)
    unmapped = tuple(
        Unmapped(data.draw(anything), text, RANGE if n % 2 else None, "x" * 90) for n in range(30)
    )
    matches = Matches(Match(NamedFile(text), text or "x", other=True), loras)
    embed = info_embed(TEXTS.speaker(locale), why, info, matches, unmapped)
    assert len(embed) <= 6_000
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4_096
    assert all(0 < len(field.value or "") <= 1_024 for field in embed.fields)


def test_the_button() -> None:
    [row] = info_view(SAY, "yaf56nzs6r").to_components()
    assert row["components"][0]["custom_id"] == "settings:yaf56nzs6r"
