"""The settings of what generates: its devices, its memory, its time."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.values import Devices


class EngineSettings(BaseSettings):
    """See docs/settings.md."""

    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        default="auto",
        description="Kind of device to generate on: `auto`, `cuda`, `mps` or `cpu`. "
        "IMAGEN_DEVICES says which of them.",
    )
    devices: Devices = Field(
        default=(),
        description="Devices that generate at the same time, one job each: `auto` (every CUDA card "
        "there is, where IMAGEN_DEVICE is `auto` or `cuda`), or a list such as `cuda:0, cuda:1`, "
        "which IMAGEN_DEVICE then has no part in. `none`: only workers generate, see "
        "IMAGEN_BROKER.",
    )
    engine: Literal["auto", "thread", "process"] = Field(
        default="auto",
        description="Where each device's engine runs: in a `thread` of the bot, or in a `process` "
        "of its own, which takes nothing else along when it crashes and is then started anew. "
        "`auto`: a thread for one device, processes for several.",
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        default="auto",
        description="Precision of the weights: `auto` (fp32 on a CPU; on a GPU fp16, or bf16 for "
        "FLUX.2 klein, Z-Image, Anima, FLUX.1, Chroma and Krea 2 where the card computes in it), "
        "`float16`, `bfloat16` or `float32`.",
    )
    memory: Literal["auto", "full", "16gb", "11gb", "8gb"] = Field(
        default="auto",
        description="How much of a model stays on the GPU: `auto` (chosen by the card's size), "
        "`full`, `16gb`, `11gb` or `8gb`.",
    )
    weights: Literal["auto", "full", "int8"] = Field(
        default="auto",
        description="How the largest weights are stored on the GPU: `full` (as IMAGEN_DTYPE "
        "says), `int8` (8 bits, half the memory, slightly other images), or `auto` (`int8` for the "
        "models that need it on a card of this size). Those that do not fit as they are stored are "
        "copied from RAM at every step. LoRAs work with all of them.",
    )
    compiled: bool = Field(
        default=False,
        alias="IMAGEN_COMPILE",
        description="`true` compiles the network that denoises in the background, once for each "
        "of the model's usual sizes; not for Z-Image and Chroma, and not on cards of less than "
        "15 GiB, or 20 GiB for FLUX.1 and Krea 2. Compiled code may round differently, so the "
        "same seed may not give the same bytes as without it.",
    )
    model_cache: float | None = Field(
        default=None,
        ge=0,
        le=4096,
        description="GiB of RAM for models that are not in use, which makes switching fast; "
        "several devices share it evenly. If unset, half of the RAM (on a CPU, none).",
    )
    adapter_cache: float = Field(
        default=1,
        ge=0,
        le=1024,
        description="GiB of RAM for recently used LoRAs, not counting those in use, for each "
        "device.",
    )
    preview: bool = Field(
        default=True,
        description="Whether messages show a preview while an image is generated: `true` or "
        "`false`.",
    )
    idle_minutes: float = Field(
        default=30,
        ge=0,
        le=100_000,
        description="Minutes without a job before the GPU's memory is released; 0 means never.",
    )
    job_timeout: float = Field(
        default=600,
        gt=0,
        le=86_400,
        description="Seconds one job may take to generate, not counting downloads. Jobs with more "
        "than 100 steps over all their images get proportionally more.",
    )
    restart: bool = Field(
        default=True,
        description="Whether `run` restarts itself when nothing else helps (the GPU failed, "
        "something hangs). `false` exits with code 75 instead, for a supervisor to restart it.",
    )
