"""Which workers are asked for a job: those that have its files, or can get them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.distributed.elsewhere import Fitting
from bot.distributed.lacks import Lacks
from bot.queue.policy import Waiting
from catalog import LiveCatalog
from tests.distributed.machines import BOT, BOTS, Machine, bot, put, sha256
from tests.distributed.site import DIGEST, PLAIN

JOB = Waiting("a", "p", 1, "plain")
NONE: frozenset[str] = frozenset()


def fitting(machine: Machine, request: Any = PLAIN) -> Fitting:
    job = SimpleNamespace(request=request)
    catalog = cast("LiveCatalog", SimpleNamespace(current=BOTS))
    return Fitting(machine.inventory, catalog, cast("Any", {"a": job}.get))


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return bot(tmp_path).ready()


def test_who_has_the_files_is_asked_and_who_can_get_them(here: Machine) -> None:
    fits, needs = fitting(here), frozenset(here.inventory.needs_of(PLAIN, BOTS))
    assert fits(needs, NONE, False, JOB)
    assert not fits(needs - {DIGEST}, NONE, False, JOB)
    assert fits(needs - {DIGEST}, NONE, True, JOB)


@pytest.mark.parametrize("fetches", [False, True])
def test_who_lacks_one_is_not_asked_whatever_it_has_said(here: Machine, fetches: bool) -> None:
    fits, needs = fitting(here), frozenset(here.inventory.needs_of(PLAIN, BOTS))
    assert not fits(needs, frozenset({DIGEST}), fetches, JOB)
    assert fits(needs, frozenset({sha256(b"of another job")}), fetches, JOB)


def test_nobody_is_asked_for_a_file_that_has_changed_until_it_is_hashed(here: Machine) -> None:
    fits, needs = fitting(here), frozenset(here.inventory.needs_of(PLAIN, BOTS))
    assert fits(needs, NONE, False, JOB)
    put(here.models, {"checkpoints/plain.safetensors": b"changed"})
    here.inventory.update(BOTS)
    assert not fits(needs, NONE, True, JOB)
    here.ready()
    assert not fits(needs, NONE, False, JOB)
    assert fits(needs - {DIGEST} | {sha256(b"changed")}, NONE, False, JOB)


def test_a_worker_is_asked_again_after_longer_and_longer() -> None:
    now = 0.0
    lacks = Lacks(lambda: now)
    for pause in (60, 120, 300, 300):
        lacks.note(DIGEST)
        now += pause - 1
        assert lacks.now == {DIGEST}
        now += 1
        assert lacks.now == NONE
    lacks.note(DIGEST)
    lacks.forget({DIGEST, sha256(BOT["loras/ink.safetensors"])})
    assert lacks.now == NONE
    lacks.note(DIGEST)
    now += 60
    assert lacks.now == NONE
