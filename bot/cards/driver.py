"""Prints the CUDA cards as JSON: name and bytes of memory, in CUDA's order. Run as a script.

It calls the driver's own library, so it sees what torch would see: CUDA_VISIBLE_DEVICES and
CUDA_DEVICE_ORDER hold. It imports nothing but the standard library and makes no context on a card.
"""

import ctypes
import json
import sys
from typing import Any

NO_DEVICE = 100
"""What `cuInit` returns where there is no card (CUDA_ERROR_NO_DEVICE)."""


def cards(driver: Any) -> list[dict[str, object]]:
    """driver: the loaded library. Raises OSError if one of its calls fails."""
    if (code := driver.cuInit(0)) == NO_DEVICE:
        return []
    _check(code, "cuInit")
    count = ctypes.c_int()
    _check(driver.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    found: list[dict[str, object]] = []
    for number in range(count.value):
        device, memory = ctypes.c_int(), ctypes.c_size_t()
        name = ctypes.create_string_buffer(256)
        _check(driver.cuDeviceGet(ctypes.byref(device), number), "cuDeviceGet")
        _check(driver.cuDeviceGetName(name, len(name), device), "cuDeviceGetName")
        _check(driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device), "cuDeviceTotalMem")
        found.append({"name": name.value.decode(errors="replace"), "memory": memory.value})
    return found


def _check(code: int, call: str) -> None:
    if code:
        raise OSError(f"{call} failed with CUDA error {code}")


def main() -> None:
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:  # no driver, so no card
        sys.stdout.write("[]")
        return
    sys.stdout.write(json.dumps(cards(driver)))


if __name__ == "__main__":
    main()
