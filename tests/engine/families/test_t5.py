"""T5 as families read it: the stock module's states, its files under every name, its tokenizer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from transformers import T5EncoderModel, T5Tokenizer

from bot.engine.families import sentencepiece, t5
from bot.engine.families.sentencepiece import UnreadablePieces
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.sentencepiece_files import field, instead, varint, vocabulary
from tools.headers.original_names import RENAMED
from tools.untrained import t5 as untrained
from tools.untrained import tokenizers
from tools.untrained.filling import made

SUBJECT: Final = Subject("model", "x", lambda _: None, lambda: None)
ROOM: Final = 16
TEXTS: Final = ("a fox in the snow", "", "snow, fox")


@pytest.fixture(scope="module")
def stock() -> Any:
    return made(lambda: T5EncoderModel(untrained.config({**untrained.TINY})), 7)


def built(theirs: Any, renamed: Callable[[str], str] = str) -> Any:
    """The encoder as it is built here, with the weights of `theirs` under other names."""
    ours = t5.build(t5.checked("text_encoder", theirs.config.to_dict(), SUBJECT))
    # Transformers saves the embeddings once.
    kept = {n: t for n, t in theirs.state_dict().items() if n != "encoder.embed_tokens.weight"}
    found = t5.renamed({renamed(name): tensor for name, tensor in kept.items()})
    ours.load_state_dict(found)
    return ours.eval()


def of_llama(name: str) -> str:
    (renamed,) = RENAMED["encoder-t5-xxl"]({name: ()})
    return renamed


SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "transformers": str,
    "ComfyUI": lambda name: f"transformer.{name}",
    "llama.cpp": of_llama,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("masked", [True, False])
def test_its_states_are_those_of_the_stock_module(stock: Any, spelling: str, masked: bool) -> None:
    ours, tokenizer = built(stock, SPELLINGS[spelling]), tokenizers.t5()
    for text in TEXTS:
        given = tokenizer(text, padding="max_length", max_length=ROOM, return_tensors="pt")
        mask = given.attention_mask if masked else None
        with torch.inference_mode():
            wanted = stock(given.input_ids, attention_mask=mask)[0]
            ids = t5.ids(tokenizer, text, ROOM, "x")
            found = t5.states(ours, tokenizer.pad_token_id, ids, ROOM, masked=masked)
        assert torch.equal(found, wanted)


def test_with_a_mask_the_padding_changes_nothing_that_is_read(stock: Any) -> None:
    tokenizer = tokenizers.t5()
    ids = t5.ids(tokenizer, TEXTS[0], ROOM, "x")
    alone, padded = (
        t5.states(stock, 0, ids, room, masked=True)[:, : len(ids)] for room in (len(ids), 64)
    )
    assert torch.allclose(alone, padded, atol=1e-5)
    unmasked = t5.states(stock, 0, ids, 64, masked=False)[:, : len(ids)]
    assert not torch.allclose(alone, unmasked, atol=1e-2)


def test_no_parameter_has_two_names(stock: Any) -> None:
    assert "shared.weight" in dict(stock.named_parameters())
    names = [name for name, _ in built(stock).named_parameters(remove_duplicate=False)]
    assert "encoder.embed_tokens.weight" in names
    assert "shared.weight" not in names


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(JobFailed) as failure:
        t5.ids(tokenizers.t5(), "x" * 20, ROOM, "Far")
    used = len(tokenizers.t5()("x" * 20).input_ids) - 1
    assert failure.value.params == {"model": "Far", "value": used, "max": ROOM - 1}


@pytest.mark.parametrize(
    ("name", "unread"),
    [
        ("decoder.block.0.layer.0.SelfAttention.q.weight", True),
        ("transformer.decoder.final_layer_norm.weight", True),
        ("dec.blk.0.attn_q.weight", True),
        ("lm_head.weight", True),
        ("transformer.encoder.embed_tokens.weight", True),
        ("shared.weight", False),
        ("token_embd.weight", False),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", False),
    ],
)
def test_the_decoder_and_a_second_copy_are_left_out(name: str, unread: bool) -> None:
    assert t5.unread(name) is unread


REFUSED: Final = [
    ("model_type", "umt5"),
    ("architectures", ["UMT5EncoderModel"]),
    ("feed_forward_proj", "relu"),
    ("dense_act_fn", "relu"),
    ("d_model", 1_000_000),
    ("num_layers", 0),
    ("quantization_config", {"quant_method": "bitsandbytes"}),
    ("auto_map", {"AutoModel": "someone/code"}),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_what_would_change_the_result_is_refused_by_name(field: str, value: object) -> None:
    said = untrained.config({**untrained.TINY}).to_dict()
    with pytest.raises(JobFailed) as failure:
        t5.checked("text_encoder", {**said, field: value}, SUBJECT)
    assert failure.value.params["field"] == f"text_encoder.{field}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tokenizer as transformers writes it."""
    tokenizers.t5().save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


WORDS: Final = (*TEXTS, " ", "snow, fox,,  1girl\n new", "</s> a <unk>", "é漢", "<extra_id_0>")


def test_a_vocabulary_of_sentencepiece_is_the_same_tokenizer(folder: Path) -> None:
    theirs = T5Tokenizer.from_pretrained(folder, local_files_only=True)
    ours = t5.tokenizer(instead(folder), SUBJECT)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.pad_token_id == theirs.pad_token_id == 0
    for text in WORDS:
        assert ours(text).input_ids == theirs(text).input_ids


def test_its_tokens_beyond_the_pieces_are_those_of_its_configuration(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    further = {
        str(len(tokenizers.PIECES) + number): {"content": f"<extra_id_{1 - number}>"}
        for number in range(2)
    }
    said = {**said, "extra_ids": 2, "added_tokens_decoder": further}
    said["additional_special_tokens"] = ["<extra_id_0>", "<extra_id_1>"]
    path.write_text(json.dumps(said), encoding="utf-8")
    ours = t5.tokenizer(instead(folder), SUBJECT)
    assert ours("<extra_id_0>").input_ids == [len(tokenizers.PIECES) + 1, 1]


PLAIN: Final = vocabulary()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"PK\x03\x04", "its field 0 is stored in the unknown way 3"),
        (PLAIN[:-3], "it ends in the middle of a field"),
        (b"\x0a" + b"\xff" * 20, "it has a number without an end"),
        (b"\x0a", "it is damaged"),
        (field(1, field(1, b"\xff\xfe")), "it is damaged"),
        (field(1, field(1, 7)), "its field 1 is int"),
        (vocabulary(kind=2), "its model_type is 2; known is 1, unigram"),
        (vocabulary(unknown=99), "its unk_id is 99, and it has 34 pieces"),
        (vocabulary(unknown=3), "its unk_id is 3, not 2"),
        (b"", "its unk_id is 0, and it has 0 pieces"),
        (field(4, bytes(16 * 2**20)), "it is larger than 16 MiB"),
        (varint(1 << 3 | 3), "its field 1 is stored in the unknown way 3"),
    ],
)
def test_what_is_no_vocabulary_is_refused(folder: Path, raw: bytes, reason: str) -> None:
    with pytest.raises(JobFailed) as failure:
        t5.tokenizer(instead(folder, raw), SUBJECT)
    assert failure.value.code == "model.unreadable"
    assert failure.value.params["reason"] == f"tokenizer/spiece.model: {reason}"


def test_every_kind_of_field_is_read_past(tmp_path: Path) -> None:
    file = tmp_path / "spiece.model"
    eight = varint(9 << 3 | 1) + bytes(8)
    file.write_bytes(eight + vocabulary(table=b"\x01\x02") + field(7, 300) + field(8, 1.5))
    found = sentencepiece.read(file)
    assert found.normalizer == b"\x01\x02"
    assert [piece for piece, _ in found.scored] == [*tokenizers.PIECES]
    assert found.scored[5][1] == -5.0
    file.write_bytes(PLAIN[:40])
    with pytest.raises(UnreadablePieces):
        sentencepiece.read(file)
