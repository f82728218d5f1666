"""From prompts to tensors, against diffusers and against the formula."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import JobFailed
from tests.engine.factories import TINY
from tests.parameters import examples, mostly_long

FOX = 3
"""The position of "fox" in "a red fox in the snow", counted from the start token."""


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    """diffusers' own pipeline, which unweighted prompts must match."""
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline.from_pretrained(
        models_dir / TINY, use_safetensors=True, local_files_only=True
    )


def encode(
    plain: Any,
    prompt: str,
    negative: str | None = None,
    skip: int | None = None,
    force_zeros: bool = True,
    recall: Any = None,
) -> Any:
    import torch

    from bot.engine.families.sdxl import text
    from bot.engine.families.unet.text import afresh

    parts = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
    encoders = text.Encoders(*(getattr(plain, part) for part in parts))
    with torch.inference_mode():
        (encoded,) = text.encode(
            encoders, [(prompt, negative)], skip, recall=recall or afresh, force_zeros=force_zeros
        )
        return encoded


def same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


@pytest.mark.parametrize("skip", mostly_long([None, 1, 2, 3, 4], usual=[None, 2]))
@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("a fox in the snow", "blurry, low quality"),
        ("", ""),
        (":) ümlaut 🦊 <|endoftext|> don't", "a:1.2) :]"),
        (", ".join(["fox"] * 38), " "),
    ],
)
def test_plain_prompts_are_bit_for_bit_those_of_diffusers(
    plain: Any, prompt: str, negative: str, skip: int | None
) -> None:
    """Clip skip is for the negative prompt as well, as in AUTOMATIC1111 and ComfyUI, so that is
    compared with diffusers' encoding of a prompt: there it is for the prompt only."""
    import torch

    encoded = encode(plain, prompt, negative, skip, force_zeros=False)
    options = {} if skip is None else {"clip_skip": skip - 2}
    with torch.inference_mode():
        expected, _, pooled, _ = plain.encode_prompt(prompt, negative_prompt=negative, **options)
        wrong, _, wrong_pooled, _ = plain.encode_prompt(negative, **options)
    found = (encoded.prompt, encoded.negative, encoded.pooled, encoded.negative_pooled)
    theirs = (expected, wrong, pooled, wrong_pooled)
    assert all(same(one, other) for one, other in zip(found, theirs, strict=True))


@pytest.mark.parametrize("negative", mostly_long(["", " ", "\n \t"], usual=2))
@pytest.mark.parametrize(
    "prompt", ["a fox in the snow", "", "a fox BREAK a (cat:1.3) BREAK BREAK a dog"]
)
@pytest.mark.parametrize("force_zeros", [True, False])
def test_an_empty_negative_prompt_is_what_diffusers_makes_of_none(
    plain: Any, prompt: str, negative: str, force_zeros: bool
) -> None:
    import torch

    plain.register_to_config(force_zeros_for_empty_prompt=force_zeros)
    encoded = encode(plain, prompt, negative, force_zeros=force_zeros)
    with torch.inference_mode():
        _, expected, _, pooled = plain.encode_prompt("a fox in the snow")
    chunks = 4 if "BREAK" in prompt else 1
    assert same(encoded.negative, expected.repeat(1, chunks, 1))
    assert same(encoded.negative_pooled, pooled)
    assert bool(expected.any()) is not force_zeros


def test_zeros_need_no_text_encoder(plain: Any) -> None:
    read: list[Any] = []

    def recall(text: Any, run: Any) -> Any:
        read.append(text)
        return run()

    encode(plain, "a fox", "", recall=recall)
    assert len(read) == 1
    encode(plain, "a fox", "", force_zeros=False, recall=recall)
    assert len(read) == 3


def test_without_guidance_there_is_no_negative_one(plain: Any) -> None:
    encoded = encode(plain, "a fox")
    assert (encoded.negative, encoded.negative_pooled) == (None, None)
    assert same(encoded.prompt, encode(plain, "a fox", "blurry").prompt)


@pytest.mark.parametrize("text", ["(a fox:1.0)", "((a fox:1.25):0.8)", "a (fox:1)", "([a fox])"])
def test_a_weight_of_one_is_no_weight(plain: Any, text: str) -> None:
    weighted = encode(plain, text, text)
    bare = encode(plain, "a fox", "a fox")
    assert same(weighted.prompt, bare.prompt)
    assert same(weighted.negative, bare.negative)


def test_a_long_prompt_is_its_chunks_one_after_the_other(plain: Any) -> None:
    one, two = " ".join(["fox"] * 75), "a red cat"
    alone = [encode(plain, text) for text in (one, two)]
    for joined in (f"{one} {two}", f"{one} BREAK {two}"):
        both = encode(plain, joined)
        assert both.prompt.shape == (1, 154, 80)
        assert same(both.prompt[:, :77], alone[0].prompt)
        assert same(both.prompt[:, 77:], alone[1].prompt)
        assert same(both.pooled, alone[0].pooled)


@pytest.mark.parametrize("turned", [False, True])
def test_the_shorter_one_is_filled_up_with_empty_chunks(plain: Any, turned: bool) -> None:
    texts = ("fox BREAK cat BREAK dog", "blurry")
    encoded = encode(plain, *reversed(texts) if turned else texts)
    short = encoded.prompt if turned else encoded.negative
    assert encoded.prompt.shape == encoded.negative.shape == (1, 231, 80)
    assert same(short[:, :77], encode(plain, "blurry").prompt)
    empty = encode(plain, "").prompt
    assert same(short[:, 77:154], empty)
    assert same(short[:, 154:], empty)


@pytest.mark.parametrize("weight", [-1.0, 0.5, 1.3, 2.0])
def test_a_weighted_word_counts_that_much_more_than_the_others(plain: Any, weight: float) -> None:
    import torch

    bare = encode(plain, "a red fox in the snow")
    encoded = encode(plain, f"a red (fox:{weight}) in the snow")
    assert same(encoded.pooled, bare.pooled)
    for first, last in ((0, 32), (32, 80)):  # of each encoder
        before, after = (each.prompt[0, :, first:last].double() for each in (bare, encoded))
        factor = (after * before).sum(-1) / (before * before).sum(-1)
        assert torch.allclose(after, factor[:, None] * before, atol=1e-5)
        others = torch.cat([factor[:FOX], factor[FOX + 1 :]])
        assert torch.allclose(others, others[0].expand_as(others), atol=1e-5)
        assert float(factor[FOX] / others[0]) == pytest.approx(weight, abs=1e-4)


def test_only_the_chunk_with_the_weight_is_touched(plain: Any) -> None:
    bare = encode(plain, "a fox BREAK a cat", "a dog")
    encoded = encode(plain, "a fox BREAK a (cat:1.4)", "a dog")
    assert same(encoded.prompt[:, :77], bare.prompt[:, :77])
    assert not same(encoded.prompt[:, 77:], bare.prompt[:, 77:])
    assert same(encoded.negative, bare.negative)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_mean_is_restored(models_dir: Path, dtype: str) -> None:
    import torch

    from bot.engine.families.unet.text import emphasized

    states = torch.randn(1, 77, 40, generator=torch.Generator().manual_seed(1)) + 0.5
    states = states.to(getattr(torch, dtype))
    weights = [1.0, 1.5, 0.2, *[1.0] * 74]
    weighted = emphasized(states, weights)
    exact = states.double() * torch.tensor(weights, dtype=torch.double)[:, None]
    expected = exact * (states.double().mean() / exact.mean())
    assert weighted.dtype == states.dtype
    torch.testing.assert_close(weighted, expected.to(states.dtype), rtol=2e-6, atol=1e-6)


def test_a_mean_near_nothing_is_left_alone(models_dir: Path) -> None:
    import torch

    from bot.engine.families.unet.text import emphasized

    states = torch.ones(1, 4, 8)
    for weights in ([1.0, -1.0, 1.0, -1.0], [-2.0, 1.0, 1.0, -2.0], [1.0, -1.001, 0.0, 0.0]):
        expected = states * torch.tensor(weights)[:, None]
        assert torch.equal(emphasized(states, weights), expected)
    zeros = torch.zeros(1, 4, 8)
    assert torch.equal(emphasized(zeros, [2.0, 1.0, 1.0, 1.0]), zeros)


def test_weights_are_limited_and_those_of_one_touch_nothing(models_dir: Path) -> None:
    import torch

    from bot.engine.families.unet.text import emphasized

    states = torch.rand(1, 3, 8)
    assert emphasized(states, [1.0, 1.0, 1.0]) is states
    assert torch.equal(emphasized(states, [1e6, 1.0, -1e6]), emphasized(states, [10.0, 1.0, -10.0]))


@pytest.mark.parametrize("text", ["BREAK " * 32 + "a", "🦊" * 700])
def test_a_prompt_that_would_never_end_is_refused(plain: Any, text: str) -> None:
    for prompts in ((text, None), ("a fox", text)):
        with pytest.raises(JobFailed) as failure:
            encode(plain, *prompts)
        assert failure.value.code == "prompt.chunks"
        assert failure.value.params["max"] == 32
    assert encode(plain, "BREAK " * 31 + "a").prompt.shape == (1, 32 * 77, 80)


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors],
)
@given(
    prompt=st.lists(
        st.sampled_from(["(", ")", "[", "]", ":9)", ":-9)", ", ", " BREAK ", "fox ", "🦊", "\\"])
        | st.text(max_size=5),
        max_size=60,
    ).map("".join),
    negative=st.none() | st.text(max_size=300),
)
def test_any_prompt_gives_finite_tensors_of_one_length(
    plain: Any, prompt: str, negative: str | None
) -> None:
    encoded = encode(plain, prompt, negative)
    one, length, width = encoded.prompt.shape
    assert (one, length % 77, width) == (1, 0, 80)
    assert encoded.pooled.shape == (1, 48)
    assert bool(encoded.prompt.isfinite().all())
    if encoded.negative is not None:
        assert encoded.negative.shape == encoded.prompt.shape
        assert encoded.negative_pooled.shape == (1, 48)
