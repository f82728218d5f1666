"""What an engine process prints: libraries in C do, and a crash writes where it was."""

import logging
import re
from typing import Final

log = logging.getLogger(__name__)

LINE_MAX: Final = 2_000
"""Bytes of a line; the rest of a longer one counts as further lines."""
_OF_A_CRASH: Final = re.compile(
    r"""
    Fatal\ Python\ error:\ [A-Z][\w ]{0,40}
    | (Current\ thread|Thread)\ 0x[0-9a-f]{1,16}(\ \[[\w .:-]{0,40}\])?
      \ \(most\ recent\ call\ first\):
    | [ ]{2}File\ "([\w/\\:. +-]+\.py|<frozen\ [\w.]+>)",\ line\ \d+\ in\ [\w<>.]+
    | [\w/.-]+\.(cu|cuh|cpp):\d+:\ \w+:\ block:\ [\[\d,\]]+,\ thread:\ [\[\d,\]]+
      \ Assertion\ `[\w<>=!&|. ()+*-]{1,200}`\ failed\.
    """,
    re.VERBOSE,
)
"""What Python's faulthandler and CUDA's assertions write, which never quote a text."""


def overhear(name: str, line: bytes, *, private: bool) -> None:
    """Log a line that the engine process of the lane `name` printed.

    private: whether it may quote a prompt, perhaps only a part of one, or one that it was given
    earlier: what is printed may come late, in pieces and in another spelling. Then nothing of it is
    logged but its length, except where it was if it crashed.
    """
    text = line.decode(errors="replace").rstrip()
    if not text:
        return
    if private and not _OF_A_CRASH.fullmatch(text):
        log.warning("%s: its engine process printed a line of %d bytes", name, len(line))
    else:
        log.warning("%s: its engine process printed: %s", name, text)
