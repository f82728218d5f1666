"""Measure how soon a newly started playground shows its first image.

`python -m benchmarks.playground` starts `main.py playground` several times, each time in an empty
folder. It requests an image through the page's API once `/imagine` is available, and prints the
median seconds from the start of the process until the image arrives.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from benchmarks import machine
from benchmarks.bot_process import ROOT, Home
from benchmarks.page import FIGURES, write_into

GOAL = 20.0
WEB = build_opener(ProxyHandler({}))
WANTED = {"prompt": "a red star on a blue background"}


def seconds_to_first_picture(folder: Path) -> float:
    """Start once in the empty `folder`, which also holds the models folder."""
    command = [sys.executable, str(ROOT / "main.py"), "playground", "--no-open", "--port", "0"]
    environment = Home(folder, ROOT / "catalog").environment()
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        _wait_for_picture(process.stdout.readline().split()[2])
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _wait_for_picture(url: str) -> None:
    """Request an image on the page at `url`, wait for it and download it."""
    person = json.load(WEB.open(f"{url}/api/start"))["people"][0]
    asked = False
    for kind, data in _events(WEB.open(f"{url}/api/events?as={person}")):
        if kind == "world" and not asked and data["online"]:
            asked = any(command["name"] == "imagine" for command in data["commands"])
            if asked:
                where = data["channels"][0]["id"]
                act = {"as": person, "channel": where, "command": "imagine", "options": WANTED}
                headers = {"Content-Type": "application/json", "Origin": url}
                WEB.open(Request(f"{url}/api/slash", json.dumps(act).encode(), headers))
        elif kind == "message" and data["reactions"]:
            assert WEB.open(data["attachments"][0]["url"]).read().startswith(b"\x89PNG")
            return
    raise SystemExit("The playground exited before it had generated an image.")


def _events(stream: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """The name and data of each server-sent event."""
    name = ""
    for line in stream:
        field, _, value = line.decode().strip().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def main() -> int:
    """Returns 1 when the goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="(default 3)")
    parser.add_argument("--write", action="store_true", help="put it into docs/figures.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagen-bench-") as folder:
        found = []
        for number in range(options.starts):
            home = Path(folder) / str(number)
            home.mkdir()
            found.append(seconds_to_first_picture(home))
    median = statistics.median(found)
    text = (
        f"From starting the playground to the first image: {median:.1f} s"
        f" (median of {len(found)}, goal ≤ {GOAL:g} s), measured by"
        f" `python -m benchmarks.playground` on {machine.describe()}."
    )
    print(text)
    if options.write:
        write_into(FIGURES, "playground", text)
    return 1 if median > GOAL else 0


if __name__ == "__main__":
    sys.exit(main())
