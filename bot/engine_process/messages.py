"""What is in the frames that only this package knows; the rest is in bot.wire."""

from dataclasses import dataclass, field
from typing import Final

from bot.recipe import Environment
from bot.wire.codec import Codec
from bot.wire.options import EngineOptions
from catalog import AdapterEntry, ModelEntry

SMALL: Final = 4_096


@dataclass(frozen=True, slots=True)
class Begin:
    """The first frame. levels: of each logger that has one; "" is the root."""

    options: EngineOptions
    levels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Call:
    """Who it is for. job: the id that its lines concern; preview_interval: the engine's by now."""

    job: str
    preview_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """key: of the model in memory; None if there is none. environment: as of `Engine`."""

    key: str | None
    environment: Environment = field(default=Environment())


@dataclass(frozen=True, slots=True)
class Measured:
    """sizes: as of `Engine.gpu_memory`. problem: what that raised; "" if nothing."""

    sizes: dict[str, int]
    problem: str


BEGIN: Final = Codec(Begin, "begin")
CALL: Final = Codec(Call, "call", SMALL)
MODEL: Final = Codec(ModelEntry, "model")
ADAPTERS: Final = Codec(tuple[AdapterEntry, ...], "adapters")
LOADED: Final = Codec(Loaded, "loaded", 4 * SMALL)
MEASURED: Final = Codec(Measured, "measured", SMALL)
