"""The CUDA cards of a machine, without torch."""

import json
import os
import subprocess
import sys
from ctypes import c_int, c_size_t
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.cards import Card, find_cards, windows
from bot.cards.driver import NO_DEVICE, cards

TWO = [{"name": "A", "memory": 24 * 2**30}, {"name": "B", "memory": 8 * 2**30}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of a machine whose driver lists two cards."""
    for address in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "root/proc/driver/nvidia/gpus" / address).mkdir(parents=True)
    return tmp_path / "root"


def driver(folder: Path, code: str) -> Path:
    script = folder / "driver.py"
    script.write_text(code)
    return script


def test_the_driver_is_asked_where_there_are_several(tmp_path: Path, root: Path) -> None:
    script = driver(tmp_path, f"print('''{json.dumps(TWO)}''')")
    assert find_cards(root, script) == (Card("A", 24 * 2**30), Card("B", 8 * 2**30))


@pytest.mark.parametrize("listed", [0, 1])
def test_it_is_not_asked_where_there_is_one_at_most(tmp_path: Path, listed: int) -> None:
    for number in range(listed):
        (tmp_path / "proc/driver/nvidia/gpus" / str(number)).mkdir(parents=True)
    script = driver(tmp_path, f"open({str(tmp_path / 'asked')!r}, 'w')")
    assert find_cards(tmp_path, script) == ()
    assert not (tmp_path / "asked").exists()


def test_it_is_not_asked_where_there_can_be_none(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    script = driver(tmp_path, f"open({str(tmp_path / 'asked')!r}, 'w')")
    assert find_cards(root, script) == ()
    assert not (tmp_path / "asked").exists()


class Key(list[tuple[str, "str | Key"]]):
    """One of the registry's: names with values and further keys."""

    def __enter__(self) -> "Key":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Registry:
    """As `winreg`, with one key of display adapters."""

    HKEY_LOCAL_MACHINE = None

    def __init__(self, *devices: str | None) -> None:
        """devices: one for each adapter; None for a key that is none."""
        adapters = [Key([] if name is None else [(windows.DEVICE, name)]) for name in devices]
        self.displays = Key((f"{n:04}", adapter) for n, adapter in enumerate(adapters))

    def OpenKey(self, key: Key | None, name: str) -> Key:  # noqa: N802
        if key is None:
            assert name == windows.DISPLAYS
            return self.displays
        found = dict(key)[name]
        assert isinstance(found, Key)
        return found

    def QueryInfoKey(self, key: Key) -> tuple[int]:  # noqa: N802
        return (len(key),)

    def EnumKey(self, key: Key, number: int) -> str:  # noqa: N802
        return key[number][0]

    def QueryValueEx(self, key: Key, name: str) -> tuple[object]:  # noqa: N802
        if name not in dict(key):
            raise FileNotFoundError(name)
        return (dict(key)[name],)


class Closed(Registry):
    def OpenKey(self, key: Key | None, name: str) -> Key:  # noqa: N802
        raise PermissionError(name)


ONE, OTHERS = r"PCI\VEN_10DE&DEV_2684&SUBSYS_16F410DE", r"pci\ven_8086&dev_4680"


@pytest.mark.parametrize(
    ("registry", "asked"),
    [
        (Registry(), False),
        (Registry(OTHERS, ONE, None), False),
        (Registry(ONE, OTHERS, ONE), True),
        (Closed(), True),
    ],
)
def test_on_windows_it_is_asked_where_several_are_listed(
    registry: Registry, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "winreg", registry)
    monkeypatch.setattr(sys, "platform", "win32")
    looked = []

    def run(command: list[str], **_: object) -> Answer:
        looked.append(command)
        return Answer(b"[]")

    monkeypatch.setattr(subprocess, "run", run)
    assert find_cards(tmp_path) == ()
    assert bool(looked) == asked


@dataclass
class Answer:
    stdout: bytes


def test_it_is_asked_in_a_process_without_secrets(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "canary")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    code = "import json, os; print(json.dumps([{'name': ' '.join(os.environ), 'memory': 1}]))"
    [card] = find_cards(root, driver(tmp_path, code))
    assert "CUDA_VISIBLE_DEVICES" in card.name
    assert "DISCORD_TOKEN" not in card.name
    assert os.environ["DISCORD_TOKEN"] == "canary"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('cuInit failed with CUDA error 999')", "cuInit failed with CUDA error 999"),
        ("print('no JSON')", "JSONDecodeError"),
        ("print('[{\"name\": 1}]')", "ValidationError"),
        ("import time; time.sleep(60)", "did not answer"),
    ],
)
def test_whatever_goes_wrong_one_card_is_used(
    tmp_path: Path,
    root: Path,
    code: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bot.cards.cards.PATIENCE", 1.0)
    assert find_cards(root, driver(tmp_path, code)) == ()
    assert said in caplog.text


class FakeDriver:
    """libcuda with two cards."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def cuInit(self, _: int) -> int:  # noqa: N802
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(TWO)
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name: Any, _: int, device: c_int) -> int:  # noqa: N802
        name.value = str(TWO[device.value]["name"]).encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: c_int) -> int:  # noqa: N802
        assert isinstance(memory._obj, c_size_t)
        memory._obj.value = int(str(TWO[device.value]["memory"]))
        return 0


def test_what_the_driver_says_of_each_card() -> None:
    assert cards(FakeDriver()) == TWO


def test_a_driver_without_a_card_has_none() -> None:
    assert cards(FakeDriver(NO_DEVICE)) == []


def test_a_driver_that_fails_says_in_what() -> None:
    with pytest.raises(OSError, match="cuInit failed with CUDA error 3"):
        cards(FakeDriver(3))
