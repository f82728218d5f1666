"""JSON with long texts in it is read as any other, slice by slice."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api import large_json
from bot.api.bodies import LARGE, VALUES_MAX, strict_json
from bot.api.errors import BodyTooLarge
from bot.api.gate import SMALL_MAX
from bot.api.large_json import LONG, SLICE, RestTooLarge, decode
from bot.errors import InvalidRequest

TEXTS = st.text() | st.text('ab\\"/\n\0é猫😀', max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@pytest.fixture(autouse=True, scope="module")
def short() -> Iterator[None]:
    """Few bytes are long already, so that there is something to cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_json, "LONG", 3)
        patch.setattr(large_json, "SLICE", 5)
        yield


def read(data: bytes, rest_max: int = 10**6) -> Any:
    return decode(data, json.JSONDecoder(), rest_max=rest_max)


def outcome(work: Callable[[], Any]) -> Any:
    """What it returns, or what is wrong, and where."""
    try:
        return work()
    except json.JSONDecodeError as error:
        return error.msg, error.lineno, error.colno


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_it_is_what_any_parser_reads(value: Any, ascii_: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    try:
        data = text.encode()
    except UnicodeEncodeError:  # half a pair, which only an escape can stand for
        data = json.dumps(value, indent=indent).encode()
    assert read(data) == value
    assert read(data.replace(b"/", b"\\/")) == value


@given(VALUES, st.integers(0, 400), st.sampled_from(['"', "\\", "\n", ",", "]", "\\u12", "é", ""]))
def test_what_is_wrong_is_found_at_the_same_place(value: Any, at: int, wrong: str) -> None:
    text = json.dumps(value, indent=1)
    data = (text[:at] + wrong + text[at + 1 :]).encode()
    found, expected = outcome(lambda: read(data)), outcome(lambda: json.loads(data.decode()))
    if isinstance(found, tuple) and found[0].startswith("Unterminated"):
        assert isinstance(expected, tuple)  # said before what else is wrong in that text
    else:
        assert found == expected


def test_only_long_texts_may_be_large() -> None:
    data = b'{"image": "' + b"A" * 100 + b'", "n": 1}'
    assert read(data, rest_max=80) == {"image": "A" * 100, "n": 1}
    for rest in (b" " * 80, b"1" * 80, b'"' + b"a" * 80 + b'" :'):
        with pytest.raises(RestTooLarge):
            read(b"{" + rest, rest_max=80)
    with pytest.raises(json.JSONDecodeError, match="Unterminated"):
        read(b'["' + b"a" * 80, rest_max=10)


class TestBodies:
    """With the true sizes."""

    @pytest.fixture(autouse=True)
    def true(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(large_json, "LONG", LONG)
        monkeypatch.setattr(large_json, "SLICE", SLICE)

    def test_no_parser_gets_more_than_a_slice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        real = json.JSONDecoder.decode

        def decoded(decoder: json.JSONDecoder, text: str, *more: Any) -> Any:
            sizes.append(len(text))
            return real(decoder, text, *more)

        monkeypatch.setattr(json.JSONDecoder, "decode", decoded)
        body = {"prompt": "é", "image": "A" * 5_000_000, "edit": ["B" * LARGE, "猫" * LARGE]}
        for data in (json.dumps(body, ensure_ascii=False), json.dumps(body)):
            if data.count("\\") <= VALUES_MAX:
                assert strict_json(data.encode()) == body
        assert max(sizes) <= SLICE + len('""')

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b'{"a": "%s", "a": 1}', "api.body.twice"),
            (b'{"%s": 1, "%s": 2}', "api.body.twice"),
            (b'["%s\xff"]', "api.body.encoding"),
            (rb'["%s\ud800"]', "api.body.encoding"),
            (b'["%s\n"]', "api.body.json"),
            (b'["%s" 1]', "api.body.json"),
            (b'["%s', "api.body.json"),
        ],
    )
    def test_they_are_as_strict(self, data: bytes, code: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            strict_json(data.replace(b"%s", b"A" * LARGE))
        assert caught.value.code == code

    def test_what_is_no_image_may_not_be_as_large(self) -> None:
        with pytest.raises(BodyTooLarge):
            strict_json(b" " * SMALL_MAX + b"[1]")
