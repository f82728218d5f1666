"""What the blocks of .gguf files stand for, against the format's own definition."""

import random

import pytest
import torch

from bot.engine.weights.blocks import Packed, unpacked
from catalog.weight_files.gguf import BLOCKS
from tests.gguf_files import SIZES, blocks, stands_for

torch.set_num_threads(1)


def raw_of(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_number_is_the_definitions(kind: str) -> None:
    content = blocks(random.Random(1), kind, 12)
    expected = torch.tensor(stands_for(kind, content))
    shape = (3, 4 * SIZES[kind][0])
    found = unpacked(raw_of(content), Packed(kind, shape), torch.float32)
    assert found.shape == shape
    assert torch.equal(found.flatten(), expected)
    assert len(set(expected.tolist())) > 100
    for dtype in (torch.float16, torch.bfloat16):
        rounded = unpacked(raw_of(content), Packed(kind, shape), dtype)
        assert torch.equal(rounded.flatten(), expected.to(dtype))


def test_many_blocks_are_unpacked_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.weights import blocks as module

    content = blocks(random.Random(2), "Q5_K", 7)
    whole = unpacked(raw_of(content), Packed("Q5_K", (7, 256)), torch.float16)
    monkeypatch.setattr(module, "AT_ONCE", 3 * 256)
    assert torch.equal(unpacked(raw_of(content), Packed("Q5_K", (7, 256)), torch.float16), whole)
