"""The lanes as people and the owner see them."""

from dataclasses import replace
from math import inf
from typing import Any

from bot.chat.ui.admin import Status, status_text
from bot.chat.ui.lanes import LaneView, lane_lines
from bot.queue import Lane, LaneState
from tests.chat.ui.test_queue import SAY, shown, ticket
from tests.language import TEXTS
from tests.store.factories import any_job

FREE = LaneView("gpu-0", "cuda:0", LaneState.READY, "demo")
BUSY = LaneView("gpu-1", "cuda:1", LaneState.READY, "demo", "abc")
LOADING = LaneView("attic.0", "cuda:0", LaneState.LOADING)
LOST = LaneView("gpu-2", "cuda:2", LaneState.LOST)
DRAINING = LaneView("pc", "cuda", LaneState.DRAINING, None, "def")


def test_a_view_is_of_a_lane() -> None:
    lane = Lane("gpu-1", "cuda:1")
    lane.running = any_job(id="abc")
    assert LaneView.of(lane, "demo") == BUSY


def test_each_lane_has_a_line_in_the_queue() -> None:
    assert lane_lines(SAY, [FREE, BUSY, LOADING, LOST, DRAINING], 8) == [
        "💤 gpu-0 · demo",
        "▶️ gpu-1 · demo",
        "💤 attic.0 · loading",
        "💤 gpu-2 · restarting",
        "▶️ pc · takes nothing new",
    ]
    assert lane_lines(SAY, [FREE] * 10, 8)[8:] == ["and 2 more"]


def test_one_lane_is_nothing_to_tell_of() -> None:
    assert "gpu-0" not in shown(ticket(1), lanes=[FREE])
    assert "gpu-1" in shown(ticket(1), lanes=[FREE, BUSY])


def test_a_lane_that_is_not_ready_yet_is_told_as_such() -> None:
    assert status_text(SAY, status(LOADING)).splitlines()[0].endswith("idle · loading")


def status(*lanes: LaneView) -> Status:
    numbers: dict[str, Any] = dict.fromkeys(
        ("waiting", "sending", "reports", "untold", "servers", "images", "free"), 0
    )
    return Status(
        lanes=lanes,
        paused=False,
        resumes_at=None,
        draining=False,
        failures={},
        refusing=(),
        **numbers,
    )


def test_the_owner_is_told_of_devices_and_states_but_of_no_model() -> None:
    text = status_text(SAY, status(FREE, BUSY, LOST, DRAINING))
    assert text.splitlines()[:4] == [
        "💤 gpu-0 (cuda:0): idle, a model is loaded",
        "🖼️ gpu-1 (cuda:1): generating job `abc`",
        "🔁 gpu-2 (cuda:2): its engine has died, I'm starting another",
        "🖼️ pc (cuda): generating job `def` · takes nothing new",
    ]
    assert "demo" not in text


def test_one_shard_is_nothing_to_tell_of() -> None:
    assert "Shard" not in status_text(SAY, replace(status(FREE), shards={0: 0.05}))


def test_several_shards_are_told_of() -> None:
    shards = {0: 0.0454, 1: None, 2: inf, 3: 0.1}
    lines = status_text(SAY, replace(status(FREE), shards=shards)).splitlines()
    assert "Shards: 3 of 4 connected · not connected: `1`" in lines
    assert "Latency by shard: `0 · 45 ms`, `3 · 100 ms`" in lines
    lines = status_text(SAY, replace(status(FREE), shards={0: inf, 1: 0.02})).splitlines()
    assert "Shards: 2 of 2 connected" in lines
    assert "Latency by shard: `1 · 20 ms`" in lines


def test_however_many_shards_fit_into_one_message() -> None:
    shards = {number: None if number % 2 else 0.0123 for number in range(5_000)}
    for locale in ("en", "de", "fr"):
        text = status_text(TEXTS.speaker(locale), replace(status(FREE), shards=shards))
        assert len(text) <= 2000
        assert "GiB" in text or "Gio" in text  # what comes after them is there


def test_a_thousand_lanes_fit_into_one_message() -> None:
    many = [replace(BUSY, name=f"gpu-{number}") for number in range(1000)]
    for locale in ("en", "de", "fr"):
        text = status_text(TEXTS.speaker(locale), status(*many))
        assert len(text) <= 2000
    assert "and 985 more" in status_text(SAY, status(*many))
