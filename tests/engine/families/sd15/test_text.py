"""From prompts to the tensors of SD 1.5, against diffusers."""

from itertools import pairwise
from typing import Any

import pytest

from bot.errors import JobFailed
from tests.engine.families.sd15.factories import encode, same
from tests.parameters import mostly_long

PROMPTS = [
    ("a fox in the snow", "blurry, low quality"),
    ("", ""),
    (":) ümlaut 🦊 <|endoftext|> don't", "a:1.2) :]"),
    (", ".join(["fox"] * 38), " "),
]


@pytest.fixture(autouse=True)
def text_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pipeline takes the last norm of, with clip skip; transformers 5 has none."""
    from transformers import CLIPTextModel

    monkeypatch.setattr(CLIPTextModel, "text_model", property(lambda self: self), raising=False)


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("skip", mostly_long([None, 1, 2, 3, 4], usual=[None, 2]))
@pytest.mark.parametrize(("prompt", "negative"), PROMPTS)
def test_plain_prompts_are_bit_for_bit_those_of_diffusers(
    plain: Any, prompt: str, negative: str, skip: int | None, guided: bool
) -> None:
    """Clip skip is for the negative prompt as well, as in AUTOMATIC1111 and ComfyUI, so that is
    compared with diffusers' encoding of a prompt: there it is for the prompt only."""
    import torch

    encoded = encode(plain, prompt, negative if guided else None, skip)

    def theirs(text: str) -> Any:
        with torch.inference_mode():
            return plain.encode_prompt(
                text,
                device="cpu",
                num_images_per_prompt=1,
                do_classifier_free_guidance=False,
                clip_skip=None if skip is None else skip - 1,
            )[0]

    assert same(encoded.prompt, theirs(prompt))
    assert (encoded.negative is None) == (not guided)
    if guided:
        assert same(encoded.negative, theirs(negative))


def test_the_last_layer_is_the_usual_one(plain: Any) -> None:
    """AUTOMATIC1111's "Clip skip: 1"; each further one is another layer."""
    usual = encode(plain, "a fox").prompt
    assert same(encode(plain, "a fox", skip=1).prompt, usual)
    layers = [encode(plain, "a fox", skip=skip).prompt for skip in (1, 2, 3, 4)]
    assert all(not same(one, other) for one, other in pairwise(layers))


def test_every_layer_goes_through_the_last_norm(plain: Any) -> None:
    """Its weights are 1 and 0 in the tiny model."""
    import torch

    for skip in (1, 2, 3, 4):
        states = encode(plain, "a fox in the snow", skip=skip).prompt
        assert torch.allclose(states.mean(-1), torch.zeros(1, 77), atol=1e-5)
        assert torch.allclose(states.var(-1, unbiased=False), torch.ones(1, 77), atol=1e-3)


def test_a_long_prompt_is_its_chunks_one_after_the_other(plain: Any) -> None:
    one, two = " ".join(["fox"] * 75), "a red cat"
    alone = [encode(plain, text) for text in (one, two)]
    for joined in (f"{one} {two}", f"{one} BREAK {two}"):
        both = encode(plain, joined, "blurry")
        assert both.prompt.shape == both.negative.shape == (1, 154, 32)
        assert same(both.prompt[:, :77], alone[0].prompt)
        assert same(both.prompt[:, 77:], alone[1].prompt)
        assert same(both.negative[:, 77:], encode(plain, "").prompt)


@pytest.mark.parametrize("weight", [0.5, 1.3])
def test_a_weighted_word_counts_that_much_more_than_the_others(plain: Any, weight: float) -> None:
    bare = encode(plain, "a red fox in the snow").prompt[0].double()
    weighted = encode(plain, f"a red (fox:{weight}) in the snow").prompt[0].double()
    factor = (weighted * bare).sum(-1) / (bare * bare).sum(-1)
    assert float(factor[3] / factor[0]) == pytest.approx(weight, abs=1e-4)
    assert float(factor[4] / factor[0]) == pytest.approx(1.0, abs=1e-4)


def test_a_prompt_that_would_never_end_is_refused(plain: Any) -> None:
    with pytest.raises(JobFailed) as failure:
        encode(plain, "a fox", "🦊" * 700)
    assert failure.value.code == "prompt.chunks"
