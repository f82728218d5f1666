"""Prompts as the transformer sees them: the stock pipeline's tensors, from a smaller encoder."""

from typing import Any

import pytest
import torch

from bot.engine.families.zimage import configurations, networks, text
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.flux2.test_text import afresh
from tests.engine.families.zimage.conftest import TURBO
from tests.parameters import mostly_long
from tools.untrained.zimage import LAYERS

PROMPTS = ("a fox in the snow", "", "(a fox:1.3) [a|b] BREAK é漢 \n ", "<|im_end|>\n a")


@pytest.fixture(scope="module")
def encoder(stock: dict[str, Any]) -> Any:
    """The encoder as this family builds it, with the weights of the stock one."""
    theirs = stock[TURBO].text_encoder
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
    pipe = stock[TURBO]
    with torch.no_grad():
        pairs = [(prompt, "a dog")]
        (ours,) = text.encode(encoder, pipe.tokenizer, pairs, torch.float32, afresh, "x")
        (theirs,), (negative,) = pipe.encode_prompt(prompt, negative_prompt="a dog")
    assert torch.equal(ours.prompt, theirs)
    assert ours.negative is not None
    assert torch.equal(ours.negative, negative)
    assert len(encoder.layers) == LAYERS - 1


def test_a_prompt_is_never_cut_in_silence(encoder: Any, stock: dict[str, Any]) -> None:
    tokenizer = stock[TURBO].tokenizer
    room = text.TOKENS - len(tokenizer("".join(text.TEMPLATE)).input_ids)
    with torch.no_grad():
        text.encode(encoder, tokenizer, [("a" * room, None)], torch.float32, afresh, "x")
        with pytest.raises(JobFailed) as failure:
            text.encode(encoder, tokenizer, [("a" * (room + 1), None)], torch.float32, afresh, "x")
    assert failure.value.code == "prompt.tokens"
    assert failure.value.params == {"model": "x", "value": room + 1, "max": room}
