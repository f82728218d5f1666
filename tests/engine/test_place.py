"""The device that an engine computes with: what it is, and what is said where it cannot be used."""

import logging
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed

TOO_OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 12080). "
    "Please update your GPU driver by downloading and installing a new version from the URL: "
    "http://www.nvidia.com/Download/index.aspx"
)
UNKNOWN = (
    "CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up "
    "environment, e.g. changing env variable CUDA_VISIBLE_DEVICES after program start. Setting the "
    "available devices to be zero."
)


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


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_an_engine_whose_device_is_absent_can_rest_and_close(device: str) -> None:
    import torch

    if torch.accelerator.is_available():
        pytest.skip("it may be here")
    engine = engine_on(device)
    with pytest.raises(JobFailed, match=r"device\.absent"):
        engine.warm_up()
    assert engine.gpu_memory() == {}
    engine.rest()
    engine.close()


@pytest.fixture
def hindered(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine whose driver has a card that torch cannot use, and only warns, once."""
    import torch

    from bot.engine import environment

    left = [str(request.param)]

    def count() -> int:
        while left:
            warnings.warn(left.pop(), stacklevel=2)
        return 0

    monkeypatch.setattr(environment, "_WARNED", [])
    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)
    monkeypatch.setattr(torch._C, "_cuda_getDeviceCount", count, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", count)


def engine_on(device: str) -> Engine:
    return Engine(models_dir=Path("none"), hashes_file=Path("none.json"), device=device)


@pytest.mark.parametrize(
    ("hindered", "said", "mend"),
    [
        (
            TOO_OLD,
            "The NVIDIA driver on your system is too old (found version 12080)",
            "NVIDIA driver 580",
        ),
        (UNKNOWN, UNKNOWN.removeprefix("CUDA initialization: ").rstrip("."), "nvidia-smi"),
    ],
    indirect=["hindered"],
)
@pytest.mark.usefixtures("hindered")
def test_a_card_that_torch_only_warns_of_is_told(
    said: str, mend: str, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    report = engine_on("auto").device_report()
    assert (report.device, report.problem, report.unused) == ("cpu", None, said)
    assert mend in report.mend
    report = engine_on("cuda").device_report()
    assert report.problem == f"cuda is set, but torch finds no such device here: {said}"
    assert mend in report.mend
    report = engine_on("cpu").device_report()
    assert (report.unused, report.mend) == (None, "")
    with caplog.at_level(logging.INFO, "bot.engine"):
        engine_on("auto").warm_up()
    logged = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("WARNING", f"the GPU cannot be used: {said}") in logged
    assert any(level == "INFO" and text.startswith("device: cpu (") for level, text in logged)
    assert not recwarn.list


CUDA_13 = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120"
CUDA_12 = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"


@pytest.mark.parametrize(
    ("built", "capability", "supported"),
    [
        *((CUDA_13, old, False) for old in ((5, 2), (6, 1), (7, 0))),
        *((CUDA_13, usual, True) for usual in ((7, 5), (8, 6), (8, 9), (10, 3), (12, 0), (12, 1))),
        (CUDA_13, (13, 0), True),  # from PTX
        (CUDA_12, (6, 1), True),
        (CUDA_12, (12, 0), False),
        ("sm_86", (8, 0), False),
        ("sm_90a", (9, 0), True),
        ("", (6, 1), True),
        ("gfx1100", (6, 1), True),
    ],
)
def test_a_card_is_used_if_torch_was_built_for_it(
    two_cards: list[str],
    monkeypatch: pytest.MonkeyPatch,
    built: str,
    capability: tuple[int, int],
    supported: bool,
) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_arch_list", built.split)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    engine = engine_on("cuda:1")
    report = engine.device_report()
    if supported:
        assert report.problem is None
        engine._place().demand()
        return
    assert report.problem == (
        "cuda:1 (card 1) has compute capability {}.{}, and this build of torch is for {} only"
    ).format(*capability, ", ".join(built.split()))
    assert ("CUDA 12.6" in report.mend) is (capability < (7, 5))
    assert "Which torch" in report.mend
    with pytest.raises(JobFailed) as failure:
        engine._place().demand()
    assert failure.value.code == "device.unsupported"
    assert failure.value.params == {"device": "card 1"}


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
