"""Prompts as the transformer sees them: the stock pipeline's tensors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.modular_pipelines.anima.before_denoise import AnimaTextConditioningStep
from diffusers.modular_pipelines.anima.encoders import AnimaTextEncoderStep

from bot.engine.families.anima import Anima, text
from bot.engine.families.anima.text import Encoders
from bot.engine.learned import Learned
from bot.engine.subject import Subject
from bot.errors import JobFailed
from bot.request import emphasis
from tests.engine.families.anima.conftest import BASE
from tests.engine.families.flux2.test_text import afresh

PROMPTS = (
    *("a fox in the snow", "", " ", "snow, fox,, 1girl", "a fox:1.3) | é漢 \n "),
    *("</s> a <unk>", "<|im_end|>\n a", "a fox BREAK a dog", "BREAK "),
)
WEIGHTED = (
    ("a (red fox:1.5) in the snow", (("a", 1), ("red fox", 1.5), ("in the snow", 1))),
    ("(snow) [fox] ((dog:0.5):3)", (("snow", 1.1), ("fox", 1 / 1.1), ("dog", 1.5))),
    ("(a fox", (("a fox", 1.1),)),
    ("a fox, (1girl:-20)", (("a fox,", 1), ("1girl", -10))),
    ("(a:1.0) fox", ()),
)
"""A prompt, and the weights of its words; () for none."""
SUBJECT = Subject("model", "x", lambda _: None, lambda: None)


def built(network: str, theirs: Any) -> Any:
    """A network as this family builds it, with the weights of the stock one."""
    stated = theirs.config.to_dict() if network == "text_encoder" else dict(theirs.config)
    family = Anima()
    stated = {name: [*v] if isinstance(v, tuple) else v for name, v in stated.items()}
    ours = family.build(network, family.checked_config(network, stated, SUBJECT))
    weights = family.renamed(network, ours, dict(theirs.state_dict()), ())
    ours.load_state_dict({n: weights[n] for n, _ in ours.named_parameters()}, assign=True)
    return ours.eval()


@pytest.fixture(scope="module")
def encoders(stock: dict[str, Any], folders: Path) -> Encoders:
    pipe, family = stock[BASE], Anima()
    return Encoders(
        words=family.tokenizer(folders / BASE / "tokenizer", SUBJECT),
        encoder=built("text_encoder", pipe.text_encoder),
        pieces=family.tokenizer(folders / BASE / "t5_tokenizer", SUBJECT),
        conditioner=built("text_conditioner", pipe.text_conditioner),
    )


def expected(pipe: Any, prompt: str, negative: str) -> list[torch.Tensor]:
    found = AnimaTextEncoderStep.encode_prompt(pipe, prompt, negative)
    dtypes = {"conditioning_dtype": torch.float32, "output_dtype": torch.float32}
    return [
        AnimaTextConditioningStep._condition_prompt_embeds(
            pipe,
            found[f"{which}qwen_prompt_embeds"],
            found[f"{which}qwen_attention_mask"],
            found[f"{which}t5_input_ids"],
            found[f"{which}t5_attention_mask"],
            "cpu",
            **dtypes,
        )
        for which in ("", "negative_")
    ]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_what_the_stock_pipeline_makes_of_it(
    encoders: Encoders, stock: dict[str, Any], prompt: str
) -> None:
    with torch.no_grad():
        (ours,) = text.encode(encoders, [(prompt, "a dog")], torch.float32, afresh, "x")
        theirs, negative = expected(stock[BASE], prompt, "a dog")
    assert ours.prompt.shape == (1, text.TOKENS, 16)
    assert torch.equal(ours.prompt, theirs)
    assert ours.negative is not None
    assert torch.equal(ours.negative, negative)
    assert not torch.equal(ours.prompt, ours.negative)


@pytest.mark.parametrize(("prompt", "parts"), WEIGHTED)
def test_a_weight_multiplies_what_the_conditioner_gives_for_its_tokens(
    encoders: Encoders, prompt: str, parts: tuple[tuple[str, float], ...]
) -> None:
    """As ComfyUI does. The prompt itself is read without brackets."""
    bare = emphasis.plain(prompt)
    with torch.no_grad():
        (ours,) = text.encode(encoders, [(prompt, prompt)], torch.float32, afresh, "x")
        (usual,) = text.encode(encoders, [(bare, None)], torch.float32, afresh, "x")
    factors = torch.ones(text.TOKENS)
    given = [weight for words, weight in parts for _ in encoders.pieces(words).input_ids[:-1]]
    factors[: len(given)] = torch.tensor(given)
    assert torch.equal(ours.prompt, usual.prompt * factors[:, None])
    assert ours.negative is not None
    assert torch.equal(ours.negative, ours.prompt)
    assert torch.equal(ours.prompt, usual.prompt) == (not parts)
    assert not usual.prompt[:, len(encoders.pieces(bare).input_ids) :].any()


def test_the_same_words_with_other_weights_are_conditioned_once(encoders: Encoders) -> None:
    asked = []

    def recall(told: Any, run: Any) -> Any:
        asked.append(told)
        return run()

    with torch.no_grad():
        for prompt in ("a fox", "a (fox:1.3)"):
            text.encode(encoders, [(prompt, None)], torch.float32, recall, "x")
    assert len(asked) == 2
    assert len({*asked}) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_a_weight_makes_too_large_is_held_in_range(
    encoders: Encoders, dtype: torch.dtype
) -> None:
    large = torch.full((1, 4, 2), float(torch.finfo(torch.bfloat16).max) / 2)
    with torch.no_grad():
        found = text.encode(encoders, [("(fox:10)", None)], dtype, lambda _, __: (large,), "x")[
            0
        ].prompt
    assert found.dtype == dtype
    assert bool(found.isfinite().all())


def test_the_tokenizers_are_the_stock_ones(encoders: Encoders, stock: dict[str, Any]) -> None:
    for prompt in PROMPTS:
        assert encoders.words(prompt).input_ids == stock[BASE].tokenizer(prompt).input_ids
        assert encoders.pieces(prompt).input_ids == stock[BASE].t5_tokenizer(prompt).input_ids


def many(encoders: Encoders, words: int, pieces: int) -> Encoders:
    """The encoders with tokenizers that make so many tokens of every text."""

    def tokens(number: int) -> Any:
        return lambda _: type("Tokens", (), {"input_ids": [1] * number})

    given = tokens(words)
    given.pad_token_id = 0
    return replace(encoders, words=given, pieces=tokens(pieces))


@pytest.mark.parametrize(
    ("words", "pieces", "value", "room"),
    [(10, 513, 512, 511), (513, 10, 513, 512), (513, 600, 599, 511)],
)
def test_a_prompt_is_never_cut_in_silence(
    encoders: Encoders, words: int, pieces: int, value: int, room: int
) -> None:
    pair = [("a", None)]
    with torch.no_grad():
        text.encode(many(encoders, 512, 512), pair, torch.float32, afresh, "x")
    with pytest.raises(JobFailed) as failure:
        text.encode(many(encoders, words, pieces), pair, torch.float32, afresh, "x")
    assert failure.value.code == "prompt.tokens"
    assert failure.value.params == {"model": "x", "value": value, "max": room}


def test_a_token_that_the_conditioner_does_not_know_is_refused(encoders: Encoders) -> None:
    def pieces(_: str) -> Any:
        return type("Tokens", (), {"input_ids": [40, 1]})

    with pytest.raises(JobFailed) as failure:
        text.encode(replace(encoders, pieces=pieces), [("a", None)], torch.float32, afresh, "x")
    assert failure.value.code == "model.unreadable"
    assert "40" in str(failure.value.params["reason"])


@pytest.mark.parametrize("encoder", ["text_encoder", "clip_l"])
def test_no_embedding_is_for_both_encoders(encoders: Encoders, encoder: str) -> None:
    learned = Learned({encoder: torch.zeros(2, 16)}, ("x",))
    both = {"text_encoder": encoders.encoder, "text_conditioner": encoders.conditioner}
    assert not learned.fits(both)
