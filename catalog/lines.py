"""Text as one line: what files say about themselves ends up in tables, logs and messages."""

import re
from typing import Final

# Bidirectional overrides too: names come from untrusted files.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: object) -> str:
    """`text` without line breaks and control characters, for a log or a table."""
    return CONTROL.sub("�", str(text))


def clean_line(text: str, most: int) -> str:
    """The first `most` characters of `text` as one line, without control characters."""
    # Cut first: the text may be megabytes long.
    return one_line(text[: 4 * most]).replace("�", " ").strip()[:most].strip()
