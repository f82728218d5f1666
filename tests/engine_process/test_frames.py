"""Frames come out of a pipe as they went in."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine_process import frames
from bot.engine_process.frames import Frame, Kind
from bot.errors import WireError

some = st.builds(Frame, st.sampled_from(Kind), st.binary(max_size=50), st.binary(max_size=50))


def read_all(data: bytes) -> list[Frame]:
    stream, found = io.BytesIO(data), []
    while (frame := frames.read(stream)) is not None:
        found.append(frame)
    return found


def written(sent: list[Frame]) -> bytes:
    stream = io.BytesIO()
    for frame in sent:
        frames.write(stream, frame)
    return stream.getvalue()


@given(st.lists(some, max_size=5))
def test_they_come_out_as_they_went_in(sent: list[Frame]) -> None:
    assert read_all(written(sent)) == sent


@given(st.lists(some, min_size=1, max_size=3), st.data())
def test_an_end_in_the_middle_of_one_is_an_end(sent: list[Frame], data: st.DataObject) -> None:
    whole = written(sent)
    cut = data.draw(st.integers(0, len(whole) - 1))
    got = read_all(whole[:cut])
    assert got == sent[: len(got)]
    assert len(got) < len(sent)


@given(st.binary(min_size=13))
def test_noise_is_refused_before_it_is_read(noise: bytes) -> None:
    with pytest.raises(WireError, match=r"^frame: "):
        read_all(b"\0" + noise)


@pytest.mark.parametrize("sizes", ["ffffffff00000000", "0000000004000001", "0010000100000000"])
def test_sizes_beyond_their_bounds_are_refused_before_anything_is_read(sizes: str) -> None:
    stream = io.BytesIO(b"img1" + bytes([Kind.IMAGE]) + bytes.fromhex(sizes) + bytes(100))
    with pytest.raises(WireError, match=r"^frame: IMAGE: .* allowed are 1048576 and 67108864"):
        frames.read(stream)
    assert stream.tell() == 13
