"""The fleet benchmark: what each scheduler must do, and a quick run."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import PIL.Image
import pytest

from benchmarks import fleet, fleet_day, fleet_run
from benchmarks.fleet_cost import Busy
from benchmarks.fleet_day import LARGE_CARD, Ask, Card, Shape, draw
from benchmarks.fleet_run import SCHEDULERS, fits, simulate
from bot.queue import Lane
from bot.queue.fleet import Fleet
from bot.queue.policy import Line, Next

BUSY = Shape(5, 30_000, 0.15)


@pytest.mark.long
def test_a_quick_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, image = tmp_path / "figures.md", tmp_path / "fleet.png"
    page.write_text("<!-- fleet:begin -->\n<!-- fleet:end -->\n", "utf-8")
    monkeypatch.setattr(fleet, "FIGURES", page)
    assert fleet.main(["--quick", "--write"], image) == 0
    printed = capsys.readouterr().out
    assert printed.strip() in page.read_text("utf-8")
    rows = [line for line in printed.splitlines() if line.startswith("| 20 |")]
    assert len(rows) == 1
    with PIL.Image.open(image) as opened:
        assert opened.size == (900, 480)


def test_a_part_of_a_day_is_the_same_every_time() -> None:
    asks = draw(BUSY, 3)
    assert asks == draw(BUSY, 3)
    assert asks != draw(BUSY, 4)
    assert [ask.at for ask in asks] == sorted(ask.at for ask in asks)
    assert 0 <= asks[0].at <= asks[-1].at < BUSY.hours * 3_600
    assert len(draw(Shape(1, 60_000, 0.15), 3)) == pytest.approx(2 * len(asks), rel=0.3)


def test_more_come_at_the_busiest_moment_than_at_others() -> None:
    assert fleet_day.busy(fleet_day.BUSIEST) == pytest.approx(1.6)
    assert fleet_day.busy(fleet_day.BUSIEST - 0.5) == pytest.approx(0.4)


@pytest.mark.long
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_each_job_is_done_once_and_no_card_does_two_at_a_time(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_run, "MTBF", 900.0)
    ran: list[tuple[float, float, Ask, Card]] = []
    really = fleet_run._Fleet._end

    def end(self: fleet_run._Fleet, now: float, card: int) -> None:
        job, since, _ = self._running[card]
        ran.append((since, now, self._asks[job], self._cards[card]))
        really(self, now, card)

    monkeypatch.setattr(fleet_run._Fleet, "_end", end)
    asks = draw(BUSY, 1)
    make = SCHEDULERS[scheduler]
    outcome = simulate(BUSY, asks, make)
    assert outcome.failures > 3
    assert sorted(id(ask) for _, _, ask, _ in ran) == sorted(map(id, asks))
    assert all(since >= ask.at and fits(ask, card) for since, _, ask, card in ran)
    for card in {card for *_, card in ran}:
        spans = sorted((since, end) for since, end, _, other in ran if other is card)
        assert all(end <= since for (_, end), (since, _) in pairwise(spans))
    assert 0 < outcome.used <= 1
    assert simulate(BUSY, asks, make).by_user(0.95) == outcome.by_user(0.95)


def test_the_policy_waits_and_loads_less_than_both_others() -> None:
    asks = draw(BUSY, 1)
    ours, *others = (simulate(BUSY, asks, make) for make in SCHEDULERS.values())
    for other in others:
        assert ours.switches < other.switches
        assert ours.by_user(0.5) < other.by_user(0.5)
        assert ours.fairness > other.fairness


def test_a_model_that_was_there_before_is_loaded_faster() -> None:
    card = Card(0)
    assert card.memory == LARGE_CARD

    def seconds(model: str, *loras: str) -> float:
        return card.run(Ask(0.0, 1, model, loras, 1, 1.0, False)) - card.per_image

    assert seconds("a") == pytest.approx(fleet_day.FROM_DISK)
    assert seconds("a") == pytest.approx(0)
    assert seconds("a", "x") == pytest.approx(fleet_day.ADD_LORAS + fleet_day.READ_LORA)
    assert seconds("b") == pytest.approx(fleet_day.FROM_DISK)
    assert seconds("a") == pytest.approx(fleet_day.FROM_MEMORY)
    card.restart()
    assert seconds("b") == pytest.approx(fleet_day.FROM_DISK)
    assert card.switches == 4


def test_what_a_decision_costs_is_measured() -> None:
    cost = Busy(60, memory=True).measure(4, mixed=True, decisions=20)
    assert cost.microseconds > 0
    assert cost.bytes is not None
    assert cost.bytes > 100


def test_it_is_the_queues_own_decision_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[int] = []
    really = Fleet.decide

    def decide(self: Fleet, line: Line, free: Sequence[Lane], now: float) -> Next | None:
        decided.append(len(free))
        return really(self, line, free, now)

    monkeypatch.setattr(Fleet, "decide", decide)
    Busy(60).measure(4, mixed=True, decisions=20)
    Busy(0).measure(4, mixed=True, decisions=5)
    assert decided == [1] * 20 + [4] * 5
