"""Where the scale of a module is stated outside its tensors: in peft's configuration."""

import math
from collections.abc import Mapping

from bot.engine.patches.names import AnyTarget, paths_of
from catalog.weight_files import ALL_PARTS, Configs, PeftConfig


class Scales:
    """The scales that a file states outside its tensors."""

    def __init__(self, metadata: Mapping[str, str], configs: Configs) -> None:
        self._metadata = metadata
        self._configs = configs

    def config(self, target: AnyTarget) -> PeftConfig | None:
        """peft's configuration of the part that the target is in."""
        return self._configs.get(target.part) or self._configs.get(ALL_PARTS)

    def of_peft(self, module: str, target: AnyTarget, rank: int | None) -> float | None:
        """The scale by peft's configuration, or by its fields alone in the metadata; else None.

        rank: None if no tensor tells.
        """
        config = self.config(target)
        if config:
            return config.scale(paths_of(module, target), rank)
        alpha = _number(self._metadata.get("lora_alpha"))
        if alpha is None or rank is None:
            return None
        roots = self._metadata.get("use_rslora", "").lower() == "true"
        return alpha / (math.sqrt(rank) if roots else rank)


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
