"""Infotexts: of files and pasted, with line breaks and without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request.dialects.infotext import (
    Infotext,
    parse_infotext,
    pasted_infotext,
    settings_of,
)

FORGE = (
    "masterpiece, 1girl,\n(fox ears:1.2) <lora:ink:0.8>\n"
    "Negative prompt: lowres,\nbad hands\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, "
    "Size: 512x768, Model hash: 45dee52b, Model: x, Denoising strength: 0.4, "
    'ADetailer prompt: "a: \\"b\\",\\nc", Hires upscale: 2, Hires upscaler: Latent, '
    'Clip skip: 2, Lora hashes: "ink: 0123456789ab", Version: f2.0.1v1.10.1-previous-1-g1'
)


def flat(text: str) -> str:
    return text.replace("\n", " ")


def test_line_breaks_that_became_blanks_do_not_matter() -> None:
    read, lines = parse_infotext(flat(FORGE)), parse_infotext(FORGE)
    assert (read.prompt, read.negative) == (flat(lines.prompt), flat(lines.negative))
    assert read.settings == lines.settings


@pytest.mark.parametrize("negative", ["", "\nNegative prompt: dogs"])
def test_the_negative_prompt_may_be_missing(negative: str) -> None:
    text = f"a fox{negative}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1"
    for each in (text, flat(text)):
        read = pasted_infotext(each)
        assert read is not None
        assert (read.prompt, read.negative) == ("a fox", negative.rpartition(": ")[2])


def test_only_a_negative_prompt() -> None:
    expected = Infotext("a fox", "dogs, cats", {})
    assert pasted_infotext("a fox\nNegative prompt: dogs, cats") == expected
    assert pasted_infotext("a fox Negative prompt: dogs, cats") == expected


@pytest.mark.parametrize(
    "prompt",
    [
        "a fox",
        "a sign that says: open, hours: 9, days: all, price: 3",
        "Steps: a staircase in the rain",
        "Steps: 20, and a door",
        "10 steps: up, down: left, right: fine",
        "a photo negative prompt: developed in a darkroom",
    ],
)
def test_words_are_no_infotext(prompt: str) -> None:
    assert pasted_infotext(prompt) is None


def test_what_the_settings_mean() -> None:
    settings = settings_of(parse_infotext(FORGE))
    assert settings.options == {
        "model": "x",
        "size": "512x768",
        "steps": 20,
        "guidance": 7.0,
        "seed": 965400086,
        "clip_skip": 2,
        "hires": 2.0,
        "hires_steps": 20,
        "hires_strength": 0.4,
    }
    assert (settings.sampler, settings.schedule) == ("DPM++ 2M", "Karras")
    assert (settings.model_hash, settings.adapter_hashes) == ("45dee52b", {"ink": "0123456789ab"})
    assert settings.left == ("ADetailer prompt", "Hires upscaler")
    assert settings.names["guidance"] == "CFG scale"


@pytest.mark.parametrize(
    ("line", "options", "left"),
    [
        ("Steps: 9, Seed: -1, Size: 1x2", {"steps": 9, "seed": -1, "size": "1x2"}, ()),
        ("Steps: 9, Seed: x, CFG scale: inf", {"steps": 9}, ("CFG scale", "Seed")),
        ("Steps: 9, Clip skip: 1, Seed: 5", {"steps": 9, "clip_skip": 1, "seed": 5}, ()),
        (
            "Steps: 9, Seed: 5, Denoising strength: 0.5, Hires steps: 7",
            {"steps": 9, "seed": 5},
            ("Denoising strength", "Hires steps"),
        ),
        ("Steps: 9, VAE: x, Version: v1.10", {"steps": 9}, ("VAE",)),
        ("Steps: 9, VAE: x, Version: imagen 1", {"steps": 9}, ()),
        (
            "Steps: 9, Seed: 5, Schedule type: Align Your Steps",
            {"steps": 9, "seed": 5},
            ("Schedule type",),
        ),
    ],
)
def test_what_cannot_be_read_is_named(
    line: str, options: dict[str, object], left: tuple[str, ...]
) -> None:
    settings = settings_of(parse_infotext(line))
    assert settings.options == options
    assert sorted(settings.left) == sorted(left)


@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                "Steps: 1, ",
                "Negative prompt: ",
                "Seed: 1, ",
                "\n",
                '"',
                "a: ",
                "Size: 1x1, ",
                "Prompt lines: 2",
            ]
        )
    ).map("".join)
)
def test_no_text_breaks_it(text: str) -> None:
    read = pasted_infotext(text)
    if read is not None:
        settings_of(read)
