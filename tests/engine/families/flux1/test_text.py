"""Prompts as the transformer sees them are the stock pipeline's tensors."""

import json
from typing import Any

import pytest
import torch

from bot.engine.families.flux1 import configurations, networks, text
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.flux1.conftest import DEV
from tests.engine.families.flux2.test_text import afresh
from tests.parameters import mostly_long

LONG = "a fox in the snow, " * 12
PROMPTS = ("a fox in the snow", LONG, "", "(a fox:1.3) [a|b] BREAK é漢 \n ", "</s> a")


@pytest.fixture(scope="module")
def encoders(stock: dict[str, Any]) -> text.Encoders:
    """The encoders as this family builds them, with the weights of the stock ones."""
    pipe, built = stock[DEV], {}
    subject = Subject("model", "x", lambda _: None, lambda: None)
    for name in ("text_encoder", "text_encoder_2"):
        theirs = getattr(pipe, name)
        config = configurations.checked(name, json.loads(theirs.config.to_json_string()), subject)
        ours = networks.build(name, config)
        names = [each for each, _ in ours.named_parameters()]
        weights = networks.renamed(name, ours, dict(theirs.state_dict()), names)
        ours.load_state_dict({each: weights[each] for each in names}, assign=True)
        built[name] = ours.eval()
    return text.Encoders(
        pipe.tokenizer, built["text_encoder"], pipe.tokenizer_2, built["text_encoder_2"]
    )


def encode(encoders: text.Encoders, prompt: str, guidance: float | None = 3.5) -> text.Encoded:
    pairs = [(prompt, "a dog")]
    with torch.no_grad():
        (found,) = text.encode(encoders, pairs, guidance, torch.float32, afresh, "x")
    return found


@pytest.mark.parametrize("prompt", mostly_long(PROMPTS, usual=2))
def test_a_prompt_is_what_the_stock_pipeline_makes_of_it(
    encoders: text.Encoders, stock: dict[str, Any], prompt: str
) -> None:
    found = encode(encoders, prompt)
    for ours, said in ((found.prompt, prompt), (found.negative, "a dog")):
        with torch.no_grad():
            states, pooled, _ = stock[DEV].encode_prompt(said, max_sequence_length=512)
        assert ours is not None
        assert torch.equal(ours.states, states)
        assert torch.equal(ours.pooled, pooled)
    assert found.guidance == 3.5


def test_clip_reads_as_much_as_it_has_room_for(encoders: text.Encoders) -> None:
    assert len(encoders.words(LONG).input_ids) > 77
    cut = encode(encoders, LONG)
    longer = encode(encoders, LONG + "and a dog")
    assert torch.equal(cut.prompt.pooled, longer.prompt.pooled)
    assert not torch.equal(cut.prompt.states, longer.prompt.states)


@pytest.mark.parametrize(("guidance", "tokens"), [(3.5, 512), (None, 256)])
def test_a_prompt_is_never_cut_in_silence(
    encoders: text.Encoders, guidance: float | None, tokens: int
) -> None:
    # Each letter is a token, and so is what precedes the first one, and the end.
    found = encode(encoders, "a" * (tokens - 2), guidance)
    assert found.prompt.states.shape[1] == tokens
    with pytest.raises(JobFailed) as failure:
        encode(encoders, "a" * (tokens - 1), guidance)
    assert failure.value.code == "prompt.tokens"
    assert failure.value.params == {"model": "x", "value": tokens, "max": tokens - 1}


def test_a_tokenizer_with_more_tokens_than_the_encoder_is_refused(
    encoders: text.Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders.t5.config, "vocab_size", 5)
    with pytest.raises(JobFailed) as failure:
        encode(encoders, "a fox")
    assert failure.value.code == "model.unreadable"
