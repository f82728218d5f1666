"""Answers with images are what `json.dumps` makes of their base64."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api import large_base64
from bot.api.large_answers import ImagesIn


@pytest.fixture(autouse=True)
def short() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_base64, "SLICE", 8)
        yield


@given(st.lists(st.binary(max_size=40), max_size=4), st.text(max_size=20))
def test_it_is_the_same_json(images: list[bytes], said: str) -> None:
    sent = ImagesIn()
    named = {"said": said, "images": [sent.name(data) for data in images], "after": 1}
    texts = [base64.b64encode(data).decode() for data in images]
    expected = json.dumps({"said": said, "images": texts, "after": 1})
    assert sent.fill(json.dumps(named)).decode() == expected


def test_a_text_may_have_only_some_of_them() -> None:
    sent = ImagesIn()
    first, second = sent.name(b"one"), sent.name(b"another")
    assert sent.fill(f"<{second}>") == b"<" + base64.b64encode(b"another") + b">"
    assert sent.fill(f"<{first}>") == b"<" + base64.b64encode(b"one") + b">"


async def test_the_answer_is_json() -> None:
    sent = ImagesIn()
    answer = await sent.json(lambda: json.dumps({"image": sent.name(b"one")}))
    assert json.loads(bytes(answer.body)) == {"image": "b25l"}
    assert answer.headers["content-type"] == "application/json"
