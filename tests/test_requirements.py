"""Installed packages are pinned, and requirements.lock matches requirements.txt."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
DISTRIBUTED = (ROOT / "requirements-distributed.lock").read_text("utf-8")
PINNED = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?")


def _same(name: str) -> str:
    """Names are compared by packaging's rules: `discord.py` is `discord-py`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(file: str) -> dict[str, str]:
    """Name → version in a requirements file; fails on a line without a pinned version."""
    pins = {}
    for line in (ROOT / file).read_text("utf-8").splitlines():
        if not line or line.startswith(("#", "-r ")):
            continue
        found = PINNED.fullmatch(line)
        assert found, f"{file}: {line!r} is not pinned with =="
        pins[_same(found[1])] = found[2]
    return pins


def _locked(lock: str = LOCK) -> Iterator[tuple[str, str, list[str]]]:
    """Name, version and hash lines of each entry of the lock."""
    for entry in re.split(r"\n(?=[A-Za-z])", lock)[1:]:
        head, *rest = [line for line in entry.splitlines() if not line.lstrip().startswith("#")]
        found = PINNED.match(head)
        assert found, f"requirements.lock: {head!r} is not pinned with =="
        yield _same(found[1]), found[2], rest


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned(file: str) -> None:
    assert len(_pins(file)) > 5


def test_the_lock_has_every_requirement_at_its_version() -> None:
    locked = {(name, version) for name, version, _ in _locked()}
    assert set(_pins("requirements.txt").items()) <= locked, "run `make lock`"


def test_the_lock_has_no_requirement_that_was_dropped() -> None:
    # Below each entry, uv writes which packages require it.
    direct = {
        _same(entry.partition("==")[0])
        for entry in re.split(r"\n(?=[A-Za-z])", LOCK)[1:]
        if re.search(r"^ +# +(via )?-r requirements\.txt$", entry, re.MULTILINE)
    }
    assert direct == _pins("requirements.txt").keys(), "run `make lock`"


def test_every_locked_package_has_hashes_and_nothing_else() -> None:
    entries = list(_locked())
    assert len(entries) > len(_pins("requirements.txt"))
    for name, _, lines in entries:
        assert lines, f"{name} has no hash"
        for line in lines:
            assert HASH.fullmatch(line), f"{name}: {line!r}"


def test_the_lock_fits_every_build_and_names_no_index() -> None:
    # A local version such as 2.13.0+cpu is on one index only, and for one kind of machine.
    assert [name for name, version, _ in _locked() if "+" in version] == []
    assert not re.search(r"://|^ *--(?!hash=)", LOCK, re.MULTILINE)


def test_workers_have_the_same_packages_and_those_for_the_broker() -> None:
    own, others = set(_entries(LOCK)), set(_entries(DISTRIBUTED))
    assert own <= others, "run `make lock`"
    assert set(_pins("requirements-distributed.txt").items()) <= {each[:2] for each in others}
    added = {name for name, _, _ in others - own}
    assert {"redis", "saq"} <= added
    assert len(added) < 10
    for name, _, hashes in others - own:
        assert hashes, f"{name} has no hash"
        assert all(HASH.fullmatch(line) for line in hashes)


def _entries(lock: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    return ((name, version, tuple(hashes)) for name, version, hashes in _locked(lock))
