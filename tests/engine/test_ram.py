"""The RAM that this process may use: the machine's, or a control group's."""

from pathlib import Path

import psutil
import pytest

from bot.engine.ram import usable_ram

GIB = 2**30
MACHINE = int(psutil.virtual_memory().total)


def system(root: Path, cgroup: str, **limits: str) -> Path:
    """limits: file below /sys/fs/cgroup (`__` for `/`, `_max` for `.max`) → its content."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in limits.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


def test_without_limits_it_is_the_machines(tmp_path: Path) -> None:
    assert usable_ram(tmp_path) == MACHINE
    assert usable_ram(system(tmp_path, "0::/a.slice/b\n", memory_max="max\n")) == MACHINE


@pytest.mark.parametrize(
    ("cgroup", "limits", "usable"),
    [
        ("0::/\n", {"memory_max": "2147483648\n"}, 2 * GIB),
        # The host's path, in a container with a namespace of its own.
        ("0::/docker/0123\n", {"memory_max": "2147483648\n"}, 2 * GIB),
        (
            "0::/system.slice/imagen\n",
            {"system.slice__imagen__memory_max": "1073741824\n"},
            1 * GIB,
        ),
        (
            "0::/system.slice/imagen\n",
            {
                "system.slice__memory_max": "1073741824\n",
                "system.slice__imagen__memory_max": "2147483648\n",
            },
            1 * GIB,
        ),
        (
            "12:cpuset:/a\n4:memory:/a\n0::/a\n",
            {"memory__a__memory.limit_in_bytes": "1073741824\n"},
            1 * GIB,
        ),
        ("4:memory:/\n", {"memory__memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
    ],
)
def test_a_limit_counts(cgroup: str, limits: dict[str, str], usable: int, tmp_path: Path) -> None:
    assert usable_ram(system(tmp_path, cgroup, **limits)) == usable
