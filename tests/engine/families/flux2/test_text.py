"""Prompts as the transformer sees them: the stock pipeline's tensors, from a smaller encoder."""

from collections.abc import Callable, Hashable
from typing import Any

import pytest
import torch

from bot.engine.families.family import Tensors
from bot.engine.families.flux2 import configurations, networks, text
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.flux2.conftest import KLEIN

PROMPTS = ("a fox in the snow", "", "(a fox:1.3) [a|b] BREAK é漢 \n ", "<|im_end|>\n</think> a")


def afresh(_: Hashable, run: Callable[[], Tensors]) -> Tensors:
    return run()


def built(config: dict[str, Any]) -> Any:
    subject = Subject("model", "x", lambda _: None, lambda: None)
    return networks.build("text_encoder", configurations.checked("text_encoder", config, subject))


@pytest.fixture(scope="module")
def encoder(stock: dict[str, Any]) -> Any:
    """The encoder as this family builds it, with the weights of the stock one."""
    theirs = stock[KLEIN].text_encoder
    ours = built(theirs.config.to_dict())
    weights = networks.renamed("text_encoder", ours, dict(theirs.state_dict()))
    ours.load_state_dict({n: weights[n] for n, _ in ours.named_parameters()}, assign=True)
    return ours.eval()


def encoded(
    encoder: Any, pipe: Any, *prompts: str, dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    pairs = [(prompt, None) for prompt in prompts]
    found = text.encode(encoder, pipe.tokenizer, pairs, dtype, afresh, "x")
    return [each.prompt for each in found]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_what_the_stock_pipeline_makes_of_it(
    encoder: Any, stock: dict[str, Any], prompt: str
) -> None:
    with torch.no_grad():
        (ours,) = encoded(encoder, stock[KLEIN], prompt)
        theirs, _ = stock[KLEIN].encode_prompt(prompt)
    assert ours.shape == (1, text.TOKENS, 48)
    assert torch.equal(ours, theirs)


def test_the_cut_encoder_gives_the_states_of_the_whole_one(
    encoder: Any, stock: dict[str, Any]
) -> None:
    theirs = stock[KLEIN].text_encoder
    assert len(theirs.model.layers) == 30
    assert len(encoder.layers) == 27
    ids = torch.arange(40)[None]
    with torch.no_grad():
        whole, cut = (
            each(ids, output_hidden_states=True, use_cache=False).hidden_states
            for each in (theirs, encoder)
        )
    assert all(torch.equal(cut[layer], whole[layer]) for layer in range(28))


def test_the_last_token_that_there_is_room_for(encoder: Any, stock: dict[str, Any]) -> None:
    frame = len(stock[KLEIN].tokenizer("".join(text.TEMPLATE)).input_ids)
    room = text.TOKENS - frame
    with torch.no_grad():
        (ours,) = encoded(encoder, stock[KLEIN], "a" * room)
        theirs, _ = stock[KLEIN].encode_prompt("a" * room)
    assert torch.equal(ours, theirs)
    with pytest.raises(JobFailed) as failure:
        encoded(encoder, stock[KLEIN], "a" * (room + 1))
    assert failure.value.code == "prompt.tokens"
    assert failure.value.params == {"model": "x", "value": room + 1, "max": room}


@pytest.mark.long
def test_a_text_is_encoded_once_and_told_apart_by_its_tokens(
    encoder: Any, stock: dict[str, Any]
) -> None:
    asked: list[Hashable] = []

    def recall(told: Hashable, run: Callable[[], Tensors]) -> Tensors:
        asked.append(told)
        return run()

    pairs = [("a", "b"), ("c", "b"), ("a", "")]
    found = text.encode(encoder, stock[KLEIN].tokenizer, pairs, torch.float32, recall, "x")
    assert len(asked) == len(set(asked)) == 4
    assert found[0].prompt is found[2].prompt
    assert found[0].negative is found[1].negative
    assert found[2].negative is not None
    assert not torch.equal(found[2].negative, found[0].prompt)


def test_states_beyond_the_range_of_float16_are_at_its_end(
    encoder: Any, stock: dict[str, Any]
) -> None:
    states = torch.tensor([[[1e6, -1e6, 1.0]]])

    def recall(*_: object) -> Tensors:
        return (states,)

    pairs = [("a", None)]
    (found,) = text.encode(encoder, stock[KLEIN].tokenizer, pairs, torch.float16, recall, "x")
    assert found.prompt.tolist() == [[[65504.0, -65504.0, 1.0]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_angles_of_positions_stay_exact_in_16_bits(encoder: Any, dtype: torch.dtype) -> None:
    from bot.engine.weights import Formats, Part

    part = Part(built(encoder.config.to_dict()), Formats(dtype), "cpu")
    ours, theirs = part.module.rotary_emb.inv_freq, encoder.rotary_emb.inv_freq
    assert ours.dtype == torch.float32
    assert torch.equal(ours, theirs)
