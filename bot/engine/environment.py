"""What an image's bits depend on apart from the weights: device, dtype, versions, flags."""

import ctypes
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any, Final, cast

import diffusers
import torch
import transformers

from bot.engine.device import DeviceReport
from bot.engine.ram import usable_ram
from bot.errors import JobFailed

ENGINE: Final = "4"
"""Incremented when the same request gives other bits on the same machine; since 2, LoRAs are added
to the weights in one operation, since 3, their scales may stand beside the file, and since 4, clip
skip is for negative prompts as well, SDXL's empty ones are zeros, and Anima's prompts may have
weights."""
OLD_DRIVER: Final = (
    "install NVIDIA driver 580 or newer, or torch's build for CUDA 12.6, "
    "see docs/hardware.md, Which torch"
)
"""What to do where torch was built for a newer CUDA than the driver knows."""
OTHER_FAULT: Final = (
    "see whether `nvidia-smi` lists the card; if not, restart or reinstall its driver"
)
OLD_CARD: Final = "install torch's build for CUDA 12.6, see docs/hardware.md, Which torch"
NEW_CARD: Final = "install a newer build of torch, see docs/hardware.md, Which torch"
_WARNED: Final[list[str]] = []
"""What torch has warned of in this process; see `_find_cuda`."""
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class Place:
    """The device and dtype that the engine computes with.

    asked_device: `auto`, `cuda`, `cuda:1` and so on, `mps` or `cpu`. asked_dtype: `auto` or a key
    of DTYPES.
    device: as torch's calls take it. kind: the same without a card's number.
    automatic: whether the dtype was chosen here, and a network may have a better one.
    supported: whether torch was built for a card like this.
    unused: None, or why a GPU was not found that the driver has, as torch says it.
    """

    def __init__(self, asked_device: str, asked_dtype: str) -> None:
        cuda, fault = _find_cuda()
        present = {
            "cuda": cuda,
            "mps": torch.backends.mps.is_available(),
            "cpu": True,
        }
        best = next(name for name, here in present.items() if here)
        self.device = best if asked_device == "auto" else asked_device
        self.kind, _, number = self.device.partition(":")
        self.unused = fault if asked_device == "auto" or self.kind == "cuda" else None
        self.present = present.get(self.kind, False)
        if number and self.present:
            self.present = int(number) < torch.cuda.device_count()
        self.supported = not self.present or self.kind != "cuda" or _built_for(self.device)
        usual = "float32" if self.kind == "cpu" else "float16"
        self.automatic = asked_dtype == "auto"
        self.dtype_name = usual if self.automatic else asked_dtype
        self.dtype = DTYPES[self.dtype_name]

    @property
    def capability(self) -> tuple[int, int]:
        """A present card's compute capability."""
        return torch.cuda.get_device_capability(self.device)

    @property
    def computes_in_bfloat16(self) -> bool:
        """Whether the device itself does; older cards take several times as long."""
        if self.kind == "cuda":
            return self.present and self.capability >= (8, 0)
        return self.kind == "cpu"

    @property
    def capacity(self) -> int:
        """Bytes that a model may be planned for, as a card that computes in 16 bits has them."""
        if not self.present:
            return 0
        if self.kind == "cuda":
            return int(torch.cuda.get_device_properties(self.device).total_memory)
        if self.kind == "mps":
            return int(torch.mps.recommended_max_memory())
        return self.ram * torch.float16.itemsize // self.dtype.itemsize

    @property
    def ram(self) -> int:
        """Bytes of the machine's memory that this process may use."""
        return usable_ram()

    def demand(self) -> None:
        """Raise JobFailed when the requested device is not in this machine, or cannot be used."""
        if not self.present:
            raise JobFailed("device.absent", device=self.device)
        if not self.supported:
            raise JobFailed("device.unsupported", device=self.name)

    def enter(self) -> None:
        """Make it this thread's device, for calls that name none, if it was chosen by its number.

        torch keeps for each thread which device that is.
        """
        if self.present and ":" in self.device:
            torch.cuda.set_device(self.device)

    def empty_cache(self) -> None:
        """Return unused device memory to the driver, or to the operating system."""
        if not self.present:
            return
        if self.kind == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.empty_cache()
        elif self.kind == "mps":
            torch.mps.empty_cache()
        elif sys.platform == "linux":
            _trim_heap()

    @property
    def name(self) -> str:
        """What the device calls itself."""
        if not self.present:
            return "none"
        return torch.cuda.get_device_name(self.device) if self.kind == "cuda" else _processor_name()

    def report(self) -> DeviceReport:
        """See `Engine.device_report`."""
        total, free, problem = None, None, None
        unused, mend = self.unused, ""
        if unused:
            mend = OLD_DRIVER if "too old" in unused else OTHER_FAULT
        if not self.present:
            problem = f"{self.device} is set, but torch finds no such device here"
            if unused:
                problem, unused = f"{problem}: {unused}", None
            mend = mend or "set IMAGEN_DEVICE and IMAGEN_DEVICES to auto"
        elif self.kind == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            if not self.supported:
                major, minor = self.capability
                built = ", ".join(torch.cuda.get_arch_list())
                problem = f"{self.device} ({self.name}) has compute capability {major}.{minor}, "
                problem += f"and this build of torch is for {built} only"
                mend = OLD_CARD if (major, minor) < (7, 5) else NEW_CARD
        elif self.kind == "mps":
            total = torch.mps.recommended_max_memory()
            free = total - torch.mps.driver_allocated_memory()
        return DeviceReport(
            self.device,
            self.name,
            self.dtype_name,
            total,
            free,
            problem,
            for_gpus=torch.version.cuda is not None
            or torch.version.hip is not None
            or torch.backends.mps.is_built(),
            unused=unused,
            mend=mend,
        )

    def memory(self) -> dict[str, int]:
        """Bytes of a GPU's memory by kind; empty where there is none."""
        if not self.present:
            return {}
        if self.kind == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            allocated = torch.cuda.memory_allocated(self.device)
            reserved = torch.cuda.memory_reserved(self.device)
            return {"allocated": allocated, "reserved": reserved, "free": free, "total": total}
        if self.kind == "mps":
            allocated, reserved = (
                torch.mps.current_allocated_memory(),
                torch.mps.driver_allocated_memory(),
            )
            total = torch.mps.recommended_max_memory()
            return {"allocated": allocated, "reserved": reserved, "total": total}
        return {}

    def describe(self) -> dict[str, str]:
        """Everything about this install that an image's bits depend on, for the recipe."""
        facts = {
            "torch": str(torch.__version__),
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
            "device": self.kind,  # cards of one kind compute alike
            "device_name": self.name,
            "dtype": self.dtype_name,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
            "attention": "torch scaled_dot_product_attention",
        }
        if self.kind == "cuda":
            facts["cuda"] = str(torch.version.cuda)
            facts["cudnn"] = str(cast("Any", torch.backends.cudnn).version())
        return {**facts, "engine": ENGINE}


def settle() -> None:
    """Make torch choose the same kernels every time, and silence the libraries."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity(50)
        library.utils.logging.disable_progress_bar()
    for name in ("torch", "diffusers", "transformers", "huggingface_hub"):
        warnings.filterwarnings("ignore", module=rf"{name}\b")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device or the machine has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's and Apple's allocators, cuBLAS and cuDNN raise a plain RuntimeError.
    said = str(error)
    signs = (
        "out of memory",
        "DefaultCPUAllocator: can't allocate memory",
        "_STATUS_ALLOC_FAILED",
        "_ALLOCATION_FAILED",  # cuDNN 9: on the device or in RAM
        "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",  # no room for its workspace
        # No plan of cuDNN's could run. torch passes over each whose workspace has no room. Whatever
        # else it may be, free memory does not tell, since what the pass held is free by now.
        "unable to find an engine to execute this computation",
    )
    return isinstance(error, RuntimeError) and any(sign in said for sign in signs)


def is_device_lost(error: BaseException) -> bool:
    """Whether `error` makes the device unusable until the process ends.

    After a device-side assert, an ECC error or a lost device, every call fails (PyTorch issues
    2300, 17425).
    """
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def is_the_devices(error: BaseException) -> bool:
    """Whether the device or its memory is at fault rather than the file being read."""
    return is_out_of_memory(error) or is_device_lost(error)


def _find_cuda() -> tuple[bool, str | None]:
    """Whether torch can use a CUDA device; if not, what it says is wrong with the driver.

    It only warns of that (c10/cuda/CUDAFunctions.cpp), once in a process whatever devices are asked
    for; and `settle` silences its warnings.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if caught:
        _WARNED[:] = [str(caught[0].message)]
    if available or not _WARNED:
        return available, None
    said = _WARNED[0].removeprefix("CUDA initialization: ")
    return False, said.partition(" Please ")[0].partition("\n")[0].rstrip(".")


def _built_for(card: str) -> bool:
    """Whether torch was built for such a card; True if that is not certain.

    Machine code (`sm_86`) runs on cards of the same major version from its minor one on, and PTX
    (`compute_90`) on all later ones (CUDA C++ Programming Guide, Application Compatibility).
    """
    if torch.version.cuda is None:  # AMD's cards have other names
        return True
    built = re.findall(r"\b(sm|compute)_(\d+)(\d)", " ".join(torch.cuda.get_arch_list()))
    capability = torch.cuda.get_device_capability(card)
    for kind, *version in built:
        major, minor = map(int, version)
        if capability >= (major, minor) and (kind == "compute" or capability[0] == major):
            return True
    return not built


def _processor_name() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        facts = ""
    model = re.search(r"^model name\s*:\s*(.+)$", facts, re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()


def _trim_heap() -> None:
    """Have glibc return the memory of freed weights: gigabytes, after a full-size model."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
