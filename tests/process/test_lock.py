"""Locks on a data folder: one bot, and claims that end with their process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.process.lock import Claims, only_bot

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from bot.process.lock import Claims, only_bot

folder = Path(sys.argv[2])
held = only_bot(folder) if sys.argv[1] == "bot" else Claims(folder).held(sys.argv[1])
with held:
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(what: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the bot's lock, or a job's claim, until killed or the block ends."""
    command = [sys.executable, "-c", HOLDER, what, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_second_bot_refuses_until_the_first_is_dead(tmp_path: Path) -> None:
    with another_process("bot", tmp_path) as first:
        with pytest.raises(StoreError, match="another bot runs on this folder") as refused:
            only_bot(tmp_path).__enter__()
        assert str(tmp_path) in str(refused.value)
        assert "IMAGEN_DATA_DIR" in str(refused.value)
        with only_bot(tmp_path / "another"):
            pass
        first.kill()
        first.wait()
        # Nothing had to be cleaned up.
        with only_bot(tmp_path):
            pass


def test_a_folder_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        only_bot(tmp_path / "file").__enter__()


def test_a_claim_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    assert claims.abandoned("nobody")
    with another_process("abc", tmp_path) as other:
        assert not claims.abandoned("abc")
        other.kill()
        other.wait()
        assert claims.abandoned("abc")
    with claims.held("own"):
        assert not Claims(tmp_path).abandoned("own")
    assert claims.abandoned("own")
    assert list((tmp_path / "claims").iterdir()) == []


@pytest.mark.parametrize("job_id", ["", "../bot.lock", "a/b", "A" * 10, "a" * 33, "a\0"])
def test_only_a_job_id_is_a_file(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(ValueError, match="not a job's id"):
        Claims(tmp_path).abandoned(job_id)


def test_a_claim_that_cannot_be_looked_at_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "claims" / "abc").mkdir(parents=True)
    assert not Claims(tmp_path).abandoned("abc")
    assert "its job is left alone" in caplog.text


def test_a_claim_goes_with_its_holder_however_that_ends(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Claims(tmp_path).held("abc"):
        raise ZeroDivisionError
    assert not [*(tmp_path / "claims").iterdir()]
