"""The device that an engine computes with, where there are several cards."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine with two cards; returns the calls that made one the current one."""
    import torch

    entered: list[str] = []

    def number(device: Any) -> int:
        assert device is not None, "the current card is meant, which may be another"
        return int(str(device).partition(":")[2])

    cuda: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "set_device": entered.append,
        "get_device_properties": lambda device: SimpleNamespace(
            total_memory=(24, 8)[number(device)]
        ),
        "get_device_name": lambda device: f"card {number(device)}",
        "mem_get_info": lambda device: (number(device), (24, 8)[number(device)]),
        "memory_allocated": number,
        "memory_reserved": lambda device: number(device) + 1,
    }
    for name, does in cuda.items():
        monkeypatch.setattr(torch.cuda, name, does)
    return entered


def test_everything_is_asked_of_its_own_card(two_cards: list[str]) -> None:
    from bot.engine.environment import Place

    place = Place("cuda:1", "auto")
    assert (place.kind, place.device, place.present) == ("cuda", "cuda:1", True)
    assert place.dtype_name == "float16"
    assert place.capacity == 8
    assert place.memory() == {"allocated": 1, "reserved": 2, "free": 1, "total": 8}
    report = place.report()
    assert (report.device, report.name, report.total_memory) == ("cuda:1", "card 1", 8)
    place.enter()
    assert two_cards == ["cuda:1"]


def test_what_a_recipe_says_does_not_depend_on_the_number(two_cards: list[str]) -> None:
    from bot.engine.environment import Place

    first, second = [Place(device, "auto").describe() for device in ("cuda:0", "cuda:1")]
    assert first["device"] == second["device"] == "cuda"
    assert (first["device_name"], second["device_name"]) == ("card 0", "card 1")


def test_a_card_that_is_not_there_is_told(two_cards: list[str]) -> None:
    from bot.engine.environment import Place

    place = Place("cuda:2", "auto")
    assert not place.present
    assert place.capacity == 0
    assert place.report().problem == "cuda:2 is set, but torch finds no such device here"
    place.enter()
    assert two_cards == []


def test_several_threads_import_one_after_the_other() -> None:
    from bot.engine.importing import sparing_the_event_loop

    inside = 0
    most = 0
    begin = threading.Barrier(4)

    def work() -> None:
        nonlocal inside, most
        begin.wait()
        for _ in range(20):
            with sparing_the_event_loop():
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
