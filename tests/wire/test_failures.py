"""What an engine raises is raised again as the same, without prompts; anything else is refused."""

import errno
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import EngineLost, JobFailed, Loss, NotHere, PaintStopped, StopReason, WireError
from bot.wire import failures
from catalog.disk import may_pass
from tests.language import TEXTS
from tests.wire.things import CANARY


def crossed(error: BaseException) -> Exception:
    return failures.decode(failures.encode(error, (CANARY,)), TEXTS)


@pytest.mark.parametrize(
    "error",
    [
        JobFailed("memory.out", width=64, height=32),
        JobFailed("model.missing", model="demo", path="demo"),
        JobFailed("device.absent", device="x", more=("a", "b"), ratio=0.5),
    ],
)
def test_a_failure_of_the_job(error: JobFailed) -> None:
    again = crossed(error)
    assert isinstance(again, JobFailed)
    assert (again.code, again.params) == (error.code, error.params)


def test_files_that_are_lacking() -> None:
    failure = JobFailed("part.disk_full", name="demo", size=6.5, free=1.0)
    again = crossed(NotHere(failure, "ab" * 32))
    assert isinstance(again, NotHere)
    assert again.failure is not None
    assert (again.failure.code, again.failure.params) == (failure.code, failure.params)
    assert again.digest == "ab" * 32


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_whatever_a_file_says_an_honest_engine_is_not_refused(text: str) -> None:
    again = crossed(JobFailed("device.absent", device=text, names=(text,)))
    assert isinstance(again, JobFailed)
    if text.isascii() and text.isprintable() and "://" not in text and len(text) <= 200:
        assert again.params["device"] == " ".join(text.split())


@given(st.sampled_from(StopReason))
def test_a_stop(reason: StopReason) -> None:
    again = crossed(PaintStopped(reason))
    assert isinstance(again, PaintStopped)
    assert again.reason is reason


@given(st.sampled_from(Loss), st.text(st.characters(exclude_categories=["C", "Z"])), st.booleans())
def test_a_lost_engine(loss: Loss, text: str, sure: bool) -> None:
    again = crossed(EngineLost(loss, text, sure=sure))
    assert isinstance(again, EngineLost)
    assert (again.loss, str(again), again.sure) == (loss, text, sure)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ENOENT, errno.EACCES])
def test_an_error_of_the_system(number: int) -> None:
    try:
        raise OSError(number, CANARY, "ink.safetensors")
    except OSError as raised:
        error = raised
    again = crossed(error)
    assert type(again) is type(error)
    assert isinstance(again, OSError)
    assert (again.errno, again.filename) == (number, "ink.safetensors")
    assert may_pass(again) is may_pass(error)
    assert "test_an_error_of_the_system" in str(again.__cause__)
    assert CANARY not in f"{again}{again.__cause__}"


def test_anything_else_has_its_traceback_without_prompts() -> None:
    try:
        raise KeyError(CANARY)
    except KeyError as raised:
        again = crossed(raised)
    assert isinstance(again, failures.RaisedElsewhere)
    assert "KeyError" in str(again)
    assert "test_anything_else" in str(again)
    assert CANARY not in str(again)


def odd() -> Exception:
    return ValueError("2026-01-01 ERROR forged\n2026-01-01 ERROR\x1b[2J")


@pytest.mark.parametrize("error", [EngineLost(Loss.WORKER, "a\nb\x1b[2J", sure=False), odd()])
def test_nothing_from_elsewhere_begins_a_line_of_a_log(error: Exception) -> None:
    text = str(crossed(error))
    assert all(line.startswith("| ") for line in text.splitlines()[1:])
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


def test_a_long_traceback_is_cut_at_its_beginning() -> None:
    again = crossed(ValueError("x" * 10**6 + "end"))
    assert len(str(again)) <= failures.TRACE_MAX
    assert str(again).rstrip().endswith("end")


PART = {"code": "part.missing", "params": {"name": "demo"}}


def one(**fields: Any) -> bytes:
    [parsed] = json.loads(failures.encode(PaintStopped(StopReason.TIMEOUT)))
    return json.dumps([{**parsed, "stopped": None, **fields}]).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"[{}]", "exactly one"),
        (one(), "exactly one"),
        (one(stopped={"reason": "mood"}), "stopped.reason"),
        (one(stopped={"reason": "timeout"}, unexpected={"trace": ""}), "exactly one"),
        (one(failed={"code": "no.such", "params": {}}), "no.such"),
        (one(failed={"code": "memory.out", "params": {"width": 3}}), "KeyError"),
        (one(failed={"code": "job.worker", "params": {}}), "no sentence of an engine"),
        (one(failed={"code": "device.absent", "params": {"device": "x" * 201}}), "200 characters"),
        (one(failed={"code": "device.absent", "params": {"device": "a\nb"}}), "a line of"),
        (one(failed={"code": "device.absent", "params": {"device": "https://a.b"}}), "no address"),
        (one(failed={"code": "device.absent", "params": {"device": ["a\nb"]}}), "a line of"),
        (one(failed={"code": "device.absent", "params": {"device": "x", "a b": 1}}), "names of"),
        (one(failed={"code": "device.absent", "params": {"device": 10**16}}), "device"),
        (one(failed={"code": "memory.out", "params": {"width": {}, "height": 1}}), "width"),
        (one(unread={"errno": 10**30, "file": "", "trace": ""}), "errno"),
        (one(unread={"errno": -1, "file": "", "trace": ""}), "errno"),
        (one(module={"name": "os"}), "module"),
        (one(lacking={"digest": "../x", "failure": PART}), "lacking.digest"),
        (one(lacking={"digest": "ab" * 32, "failure": {**PART, "code": "no.such"}}), "no.such"),
    ],
)
def test_what_is_no_failure_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(WireError, match=f"^failure: .*{why}"):
        failures.decode(data, TEXTS)


@given(st.binary(max_size=100))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError, match=r"^failure: "):
        failures.decode(noise, TEXTS)
