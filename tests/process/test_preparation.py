"""The process's own limits and the permissions of what it creates."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.process import preparation
from bot.process.preparation import OPEN_FILES, allow_open_files, keep_files_private

resource = pytest.importorskip("resource", reason="Windows has no such limits")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("before", [0o022, 0o000, 0o137])
def test_what_is_created_is_private_and_nothing_the_owner_forbade_is_allowed(
    before: int, tmp_path: Path
) -> None:
    os.umask(before)
    keep_files_private()
    file = tmp_path / "file"
    file.touch(mode=0o666)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~(before | 0o077)


SCRIPT = """
import resource
from bot.process.preparation import allow_open_files

resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "then"), [(64, 4096, 4096), (4096, 4096, 4096)])
def test_the_limit_of_open_files_is_raised_as_far_as_it_may(
    soft: int, hard: int, then: int
) -> None:
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(soft=soft, hard=hard)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == [str(then), str(hard)]


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((1_024, resource.RLIM_INFINITY), OPEN_FILES),
        ((1_024, 1_048_576), OPEN_FILES),
        ((524_288, 1_048_576), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_no_further_than_the_bot_needs(
    limits: tuple[int, int], wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: given.append(pair))
    allow_open_files()
    assert given == ([] if wanted is None else [(wanted, limits[1])])


def test_a_system_that_refuses_is_no_reason_not_to_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    allow_open_files()
    assert "stays at 256" in caplog.text
    assert preparation.__name__ in {record.name for record in caplog.records}
