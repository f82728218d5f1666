"""Which errors of the operating system mean that a file is absent."""

import errno
import os
from pathlib import Path

import pytest

from catalog.disk import is_absent, is_scarce, may_pass, passing_fault

ABSENT = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"]
SCARCE = ["EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EINTR"]
AWAY = ["EIO", "ESTALE", "ETIMEDOUT", "EBUSY", "ENOTCONN", "EHOSTDOWN"]
NEITHER = ["EACCES", "EPERM", "EISDIR"]


def error_of(name: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", [*ABSENT, *SCARCE, *AWAY, *NEITHER])
def test_each_is_told_apart(name: str) -> None:
    error = error_of(name)
    assert is_absent(error) is (name in ABSENT)
    assert is_scarce(error) is (name in SCARCE)
    assert may_pass(error) is (name in [*SCARCE, *AWAY])


def test_a_missing_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        (tmp_path / "none").open()
    assert is_absent(error.value)
    assert passing_fault(error.value) is None


def load(fault: OSError) -> None:
    try:
        try:
            raise fault
        except OSError:
            raise ValueError("the model is missing") from None
    except ValueError as error:
        raise RuntimeError("it cannot be loaded") from error


def test_what_led_to_an_error_is_found() -> None:
    fault = error_of("EMFILE")
    with pytest.raises(RuntimeError) as raised:
        load(fault)
    assert passing_fault(raised.value) is fault
    assert passing_fault(ValueError()) is None


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert passing_fault(one) is None
