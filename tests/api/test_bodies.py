"""What is JSON, and what two readers could understand differently."""

import pytest

from bot.api.bodies import DEPTH_MAX, DIGITS_MAX, VALUES_MAX, strict_json
from bot.errors import InvalidRequest


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"prompt": "a"}', {"prompt": "a"}),
        ('\ufeff{"é": "ü😀"}'.encode(), {"é": "ü😀"}),
        (rb'"\ud83d\ude00"', "😀"),
        (b"[1, -2.5e3, true, null]", [1, -2500.0, True, None]),
        (b'{"a": {"b": 1}, "b": {"b": 2}}', {"a": {"b": 1}, "b": {"b": 2}}),
        (b"9" * DIGITS_MAX, int("9" * DIGITS_MAX)),
    ],
)
def test_json_is_read(data: bytes, value: object) -> None:
    assert strict_json(data) == value


def test_as_deep_as_allowed() -> None:
    strict_json(nested(DEPTH_MAX))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "api.body.json"),
        (b'{"a": 1,}', "api.body.json"),
        (b"{'a': 1}", "api.body.json"),
        (b'{"a": 1} {"a": 2}', "api.body.json"),
        (b'"\n"', "api.body.json"),
        (b"NaN", "api.body.number"),
        (b"[Infinity, -Infinity]", "api.body.number"),
        (b"1e400", "api.body.number"),
        (b"-1e400", "api.body.number"),
        (b"9" * (DIGITS_MAX + 1), "api.body.number"),
        (b"9" * 50_000, "api.body.number"),
        (b"0." + b"1" * 50_000, "api.body.number"),
        (b'{"a": 1, "a": 2}', "api.body.twice"),
        (b'{"a": 1, "\\u0061": 2}', "api.body.twice"),
        (b'[{"b": {"a": 1, "a": 1}}]', "api.body.twice"),
        (nested(DEPTH_MAX + 1), "api.body.deep"),
        (nested(VALUES_MAX // 2), "api.body.deep"),
        (b"[" + b"1," * VALUES_MAX + b"1]", "api.body.many"),
        (b'"' + rb"\u0041" * (VALUES_MAX + 1) + b'"', "api.body.many"),
        (b'"\xff"', "api.body.encoding"),
        ('{"a": 1}'.encode("utf-16"), "api.body.encoding"),
        (rb'"\ud800"', "api.body.encoding"),
        (rb'["a", {"b": "\udfff"}]', "api.body.encoding"),
        (rb'{"\ud800": 1}', "api.body.encoding"),
        (rb'{"\ud800": 1, "\ud800": 2}', "api.body.encoding"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_anything_else_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        strict_json(data)
    assert caught.value.code == code
    assert len(repr(caught.value.params).encode()) < 300
