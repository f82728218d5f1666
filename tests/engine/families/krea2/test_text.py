"""Prompts as the transformer sees them: the stock pipeline's tensors, from a smaller encoder."""

from typing import Any

import pytest
import torch

from bot.engine.families.krea2 import configurations, networks, text
from bot.engine.subject import Subject
from bot.errors import JobFailed
from catalog.families.krea2.recognition import LAYERS
from tests.engine.families.flux2.test_text import afresh
from tests.engine.families.krea2.conftest import TURBO
from tests.parameters import mostly_long

PROMPTS = ("a fox in the snow", "", "(a fox:1.3) [a|b] BREAK é漢 \n ", "<|im_end|>\n a")


@pytest.fixture(scope="module")
def encoder(stock: dict[str, Any]) -> Any:
    """The encoder as this family builds it, with the weights of the stock one."""
    theirs = stock[TURBO].text_encoder
    subject = Subject("model", "x", lambda _: None, lambda: None)
    config = configurations.checked("text_encoder", theirs.config.to_dict(), subject)
    ours = networks.build("text_encoder", config)
    weights = networks.renamed("text_encoder", dict(theirs.state_dict()))
    ours.load_state_dict({n: weights[n] for n, _ in ours.named_parameters()}, assign=True)
    return ours.eval()


@pytest.mark.parametrize("prompt", mostly_long(PROMPTS, usual=2))
def test_a_prompt_is_what_the_stock_pipeline_makes_of_it(
    encoder: Any, stock: dict[str, Any], prompt: str
) -> None:
    pipe = stock[TURBO]
    with torch.no_grad():
        pairs = [(prompt, "a dog")]
        (ours,) = text.encode(encoder, pipe.tokenizer, pairs, torch.float32, afresh, "x")
        assert ours.negative is not None
        for own, asked in ((ours.prompt, prompt), (ours.negative, "a dog")):
            states, seen = pipe.encode_prompt(asked)
            assert torch.equal(own.seen, seen)
            assert own.states.shape == states.shape
            assert states.shape == (1, text.TOKENS, len(LAYERS), 16)
            assert torch.equal(own.states[seen], states[seen])
            assert not own.states[~seen].any()
    assert 100 < seen.sum() < seen.numel()
    assert len(encoder.layers) == max(LAYERS) == 35


def test_what_is_kept_of_a_prompt_is_as_long_as_it_is(encoder: Any, stock: dict[str, Any]) -> None:
    kept: dict[Any, Any] = {}

    def recall(key: Any, run: Any) -> Any:
        if key not in kept:
            kept[key] = run()
        return kept[key]

    tokenizer = stock[TURBO].tokenizer
    with torch.no_grad():
        pairs = [("a fox", None)]
        first, again = (
            text.encode(encoder, tokenizer, pairs, torch.float32, recall, "x")[0].prompt
            for _ in range(2)
        )
    ((states,),) = kept.values()
    assert len(states) == first.seen.sum() < 200
    assert torch.equal(first.states, again.states)


def test_a_prompt_is_never_cut_in_silence(encoder: Any, stock: dict[str, Any]) -> None:
    tokenizer = stock[TURBO].tokenizer
    room = 541 - len(tokenizer(text.BEFORE).input_ids)
    with torch.no_grad():
        text.encode(encoder, tokenizer, [("a" * room, None)], torch.float32, afresh, "x")
        with pytest.raises(JobFailed) as failure:
            text.encode(encoder, tokenizer, [("a" * (room + 1), None)], torch.float32, afresh, "x")
    assert failure.value.code == "prompt.tokens"
    assert failure.value.params == {"model": "x", "value": room + 1, "max": room}


def test_the_template_is_as_long_as_the_stock_pipelines(stock: dict[str, Any]) -> None:
    """With Qwen's own tokenizer, whose words these tests have not got."""
    pipe = stock[TURBO]
    assert (
        pipe.prompt_template_encode_prefix,
        pipe.prompt_template_encode_suffix,
    ) == (text.BEFORE, text.AFTER)
    assert pipe.prompt_template_encode_start_idx == text.SKIPPED
    assert pipe.prompt_template_encode_num_suffix_tokens == text.ENDING
    assert pipe.text_encoder_select_layers == LAYERS
