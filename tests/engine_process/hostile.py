"""Run as an engine process: when it is to paint, it writes what is in a file, whatever that is.

It imports nothing of the bot, and so starts in no time.
"""

import os
import struct
import sys
import time

SAYS = "WHAT_TO_SAY"
"""The environment variable that names the file."""
PAINT = 4


def main() -> None:
    kind = 0
    while kind != PAINT:
        _, kind, head, body = struct.unpack(">4sBII", sys.stdin.buffer.read(13))
        sys.stdin.buffer.read(head + body)
    with open(os.environ[SAYS], "rb") as file:  # noqa: PTH123 – quicker without pathlib
        sys.stdout.buffer.write(file.read())
    sys.stdout.buffer.flush()
    time.sleep(600)


if __name__ == "__main__":
    main()
