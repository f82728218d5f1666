"""How many NVIDIA cards Windows lists, read from the registry: at once, and without the driver."""

from importlib import import_module
from typing import Any, Final

DISPLAYS: Final = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
"""Display adapters: a numbered key for each, also for some that are no longer there."""
DEVICE: Final = "MatchingDeviceId"
NVIDIA: Final = "ven_10de"
"""How a device of NVIDIA's is named there, whatever it is plugged into."""


def may_be_several() -> bool:
    """Whether there may be more than one; so, too, where the registry cannot be read."""
    # As Any: other systems do not have it.
    winreg: Any = import_module("winreg")
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, DISPLAYS) as displays:
            keys = [winreg.EnumKey(displays, n) for n in range(winreg.QueryInfoKey(displays)[0])]
            return sum(_is_nvidias(winreg, displays, key) for key in keys) > 1
    except OSError:
        return True


def _is_nvidias(winreg: Any, displays: Any, key: str) -> bool:
    try:
        with winreg.OpenKey(displays, key) as display:
            return NVIDIA in str(winreg.QueryValueEx(display, DEVICE)[0]).lower()
    except OSError:  # no adapter, or not for everybody
        return False
