"""The report of the device that an engine runs on. Does not import torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """The device that the engine runs on, or why it cannot.

    device: `cuda`, `mps` or `cpu`.
    name: as the driver or the operating system calls it.
    dtype: `float16`, `bfloat16` or `float32`.
    total_memory, free_memory: bytes of the device's own memory; None where it has none.
    problem: None, or why it cannot: one English sentence.
    memory: how much of a model may stay on the device, as IMAGEN_MEMORY names it.
    in_eight_bits: keys of the families whose large matrices are stored in 8 bits. streamed: of
        those that have too little room as they are stored, and whose blocks take turns on the
        device.
    for_gpus: whether this build of torch could use any GPU at all.
    unused: None, or why the GPU of this machine is not the device: one English sentence.
    mend: how to fix `problem` or `unused`.
    """

    device: str
    name: str
    dtype: str
    total_memory: int | None
    free_memory: int | None
    problem: str | None
    memory: str = "full"
    in_eight_bits: tuple[str, ...] = ()
    streamed: tuple[str, ...] = ()
    for_gpus: bool = True
    unused: str | None = None
    mend: str = ""
