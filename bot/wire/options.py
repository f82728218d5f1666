"""EngineOptions: what an engine is built with, wherever that is."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bot.wire.codec import Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The arguments of `bot.engine.Engine`, which documents them."""

    models_dir: Path
    hashes_file: Path
    device: str = "auto"
    dtype: str = "auto"
    memory: str = "auto"
    weights: str = "auto"
    model_cache: int | None = None
    adapter_cache: int = 2**30
    compiled: bool = False
    preview_interval: float | None = None
    hub_endpoint: str | None = None
    hub_token: str | None = field(default=None, repr=False)

    def arguments(self) -> dict[str, Any]:
        """As keywords: `Engine(**options.arguments())`."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


OPTIONS: Final = Codec(EngineOptions, "options")
