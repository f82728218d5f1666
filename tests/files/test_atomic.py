"""Files are complete or not there."""

import os
from pathlib import Path

import pytest

from bot.files.atomic import write_whole


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"


def test_the_file_is_flushed_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "a.png", []
    really = os.fsync

    def watched(descriptor: int) -> None:
        seen.append(path.exists())
        really(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_whole(path, b"data")
    # First the data, then the name; then the name itself, in the folder.
    assert seen == ([False, True] if os.name == "posix" else [False])
