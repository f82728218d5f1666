"""Prompts as the transformer sees them: the stock pipeline's tensors."""

from typing import Any

import pytest
import torch

from bot.engine.families.chroma import configurations, networks, text
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.chroma.conftest import HD
from tests.engine.families.chroma.stock import ROOM, room
from tests.engine.families.flux2.test_text import afresh
from tests.parameters import mostly_long

PROMPTS = ("a fox in the snow", "", "(a fox:1.3) [a|b] BREAK é漢 \n ", "</s> a <unk>")


@pytest.fixture(scope="module")
def encoder(stock: dict[str, Any]) -> Any:
    """The encoder as this family builds it, with the weights of the stock one."""
    theirs = stock[HD].text_encoder
    subject = Subject("model", "x", lambda _: None, lambda: None)
    config = configurations.checked("text_encoder", theirs.config.to_dict(), subject)
    ours = networks.build("text_encoder", config)
    weights = networks.renamed("text_encoder", ours, dict(theirs.state_dict()))
    ours.load_state_dict({n: weights[n] for n, _ in ours.named_parameters()}, assign=True)
    return ours.eval()


@pytest.mark.parametrize("prompt", mostly_long(PROMPTS, usual=2))
def test_a_prompt_is_what_the_stock_pipeline_makes_of_it(
    encoder: Any, stock: dict[str, Any], prompt: str
) -> None:
    pipe = stock[HD]
    with torch.no_grad():
        pairs = [(prompt, "a dog")]
        (ours,) = text.encode(encoder, pipe.tokenizer, pairs, torch.float32, afresh, "x")
        theirs, _, mask, *_ = pipe.encode_prompt(prompt, max_sequence_length=room(pipe, prompt))
        negative, *_ = pipe.encode_prompt("a dog", max_sequence_length=room(pipe, "a dog"))
    assert mask.all()
    assert torch.equal(ours.prompt, theirs)
    assert ours.negative is not None
    assert torch.equal(ours.negative, negative)


def test_what_a_mask_leaves_of_more_padding_is_the_same(
    encoder: Any, stock: dict[str, Any]
) -> None:
    pipe, prompt = stock[HD], PROMPTS[0]
    with torch.no_grad():
        pairs = [(prompt, None)]
        (ours,) = text.encode(encoder, pipe.tokenizer, pairs, torch.float32, afresh, "x")
        theirs, _, mask, *_ = pipe.encode_prompt(prompt)
    left = theirs[mask][None]
    assert theirs.shape[1] == ROOM
    assert left.shape == ours.prompt.shape
    assert torch.allclose(left, ours.prompt, atol=1e-5)


def test_a_prompt_is_never_cut_in_silence(encoder: Any, stock: dict[str, Any]) -> None:
    pipe, most = stock[HD], text.TOKENS - 1
    # Each is two tokens: the space, and a letter of its own.
    full = " ".join("x" * (most // 2)) + "y" * (most % 2)
    assert len(pipe.tokenizer(full).input_ids) == text.TOKENS
    with torch.no_grad():
        pairs = [(full, None)]
        (ours,) = text.encode(encoder, pipe.tokenizer, pairs, torch.float32, afresh, "x")
        theirs, *_ = pipe.encode_prompt(full)
        assert torch.equal(ours.prompt, theirs)  # without any padding
        longer = [(f"{full}z", None)]
        with pytest.raises(JobFailed) as failure:
            text.encode(encoder, pipe.tokenizer, longer, torch.float32, afresh, "x")
    assert failure.value.code == "prompt.tokens"
    assert failure.value.params == {"model": "x", "value": most + 1, "max": most}


def test_a_token_that_the_encoder_has_not_got_is_refused(
    encoder: Any, stock: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder.config, "vocab_size", 5)
    pairs = [("snow", None)]
    with pytest.raises(JobFailed) as failure:
        text.encode(encoder, stock[HD].tokenizer, pairs, torch.float32, afresh, "x")
    assert failure.value.code == "model.unreadable"
    assert str(failure.value.params["reason"]).endswith("its T5 5 tokens")
