"""What an engine process prints is logged, but never a part of a prompt."""

import faulthandler
import tempfile

import pytest

from bot.engine_process.printed import LINE_MAX, overhear

WITH_A_PROMPT = (
    b"a cat\n",
    b"in a hat on the mat\n",
    b"x" * LINE_MAX,
    b"the following part of your input was truncated: ['on the mat']\n",
    b"Fatal Python error: a cat, in a hat\n",
    b'  File "a cat", line 3 in a hat\n',
    b"terminate called after throwing an instance of 'a cat'\n",
)


def logged(caplog: pytest.LogCaptureFixture, line: bytes, *, private: bool) -> list[str]:
    caplog.clear()
    overhear("gpu-1", line, private=private)
    return caplog.messages


@pytest.mark.parametrize("line", WITH_A_PROMPT)
def test_nothing_of_a_line_that_may_quote_a_prompt(
    caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    said = f"gpu-1: its engine process printed a line of {len(line)} bytes"
    assert logged(caplog, line, private=True) == [said]


def test_what_is_printed_before_the_first_prompt(caplog: pytest.LogCaptureFixture) -> None:
    said = ["gpu-1: its engine process printed: no module named torch"]
    assert logged(caplog, b"no module named torch\n", private=False) == said
    assert logged(caplog, b" \n", private=False) == []


def test_where_it_was_when_it_crashed(caplog: pytest.LogCaptureFixture) -> None:
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        written = [line for line in file if line.strip() and b"<string>" not in line]
    assertion = (
        b"/pytorch/aten/src/ATen/native/cuda/Indexing.cu:1290: indexSelectLargeIndex: "
        b"block: [3,0,0], thread: [64,0,0] Assertion `srcIndex < srcSelectDimSize` failed.\n"
    )
    lines = [b"Fatal Python error: Segmentation fault\n", assertion, *written]
    for line in lines:
        said = f"gpu-1: its engine process printed: {line.decode().rstrip()}"
        assert logged(caplog, line, private=True) == [said]
    assert len(written) > 2
