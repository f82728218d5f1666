"""A bot that has its engine process at work, says its number, and waits to be killed."""

import sys

from bot.progress import Progress
from tests.engine_process.conftest import build, paint


def main(prompt: str) -> None:
    engine = build()

    def report(_: Progress) -> None:
        while prompt == "stuck" and engine.gpu_memory():
            pass  # not yet: it answers
        sys.stdout.write(f"{engine.pid}\n")
        sys.stdout.flush()

    paint(engine, prompt, report)


if __name__ == "__main__":
    main(sys.argv[1])
