"""Base64 in slices is what it is in one go."""

import base64
import binascii
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api import large_base64
from bot.api.large_base64 import SLICE, decoded


@pytest.fixture
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_base64, "SLICE", 6)
        yield


def at_once(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return None


def in_slices(text: str) -> bytes | None:
    try:
        return decoded(text)
    except ValueError:
        return None


@pytest.mark.usefixtures("short")
class TestShort:
    @given(st.text("AB/+= \n", max_size=40) | st.text(max_size=20))
    def test_whatever_is_sent(self, text: str) -> None:
        assert in_slices(text) in (at_once(text), None)

    @given(st.binary(max_size=60), st.integers(1, 9))
    def test_in_lines(self, data: bytes, width: int) -> None:
        text = base64.b64encode(data).decode()
        lines = "\r\n".join(text[i : i + width] for i in range(0, len(text), width))
        assert decoded(lines) == data

    @pytest.mark.parametrize("text", ["AAA=AAAA", "AA==      AAAA", "AAAA AA== \n\n\n\n\n\n\n A"])
    def test_nothing_follows_the_padding(self, text: str) -> None:
        with pytest.raises(binascii.Error):
            decoded(text)


def test_no_more_than_a_slice_is_decoded_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = base64.b64decode

    def one(part: str, *, validate: bool) -> bytes:
        sizes.append(len(part))
        return real(part, validate=validate)

    monkeypatch.setattr(base64, "b64decode", one)
    data = bytes(3_000_001)
    assert decoded(base64.b64encode(data).decode()) == data
    assert max(sizes) <= SLICE + 3
