"""Where the scale of a module is stated: in its tensors, in peft's configuration, by kohya."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from bot.engine.patches.names import AnyTarget, paths_of
from catalog.weight_files import ALL_PARTS, Configs, PeftConfig

_OF_LYCORIS: Final = "lycoris"


class Scales:
    """The scales that a file states outside its tensors."""

    def __init__(self, metadata: Mapping[str, str], configs: Configs) -> None:
        self._metadata = metadata
        self._configs = configs
        self._arguments = _table(metadata.get("ss_network_args", ""))

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

    def of_kohya(self, target: AnyTarget, rank: int) -> float:
        """The scale by the metadata of sd-scripts and LyCORIS, for modules without an alpha.

        Both write an alpha into every module; some tools drop it and keep the metadata. Files in
        peft's names are converted, with the scale in the factors, so this is not for them.
        """
        convolution = len(target.shape) > 2 and math.prod(target.shape[2:]) > 1
        alpha = _number(self._metadata.get("ss_network_alpha"))
        if convolution and _number(self._arguments.get("conv_dim")) is not None:
            lycoris = _OF_LYCORIS in self._metadata.get("ss_network_module", "")
            stated = _number(self._arguments.get("conv_alpha"))
            alpha = stated if stated is not None else alpha if lycoris else 1.0
        if alpha is None:
            return 1.0
        roots = str(self._arguments.get("rs_lora", "")).lower() == "true"
        return alpha / (math.sqrt(rank) if roots else rank)


def _number(value: object) -> float | None:
    """kohya writes "None" for what was not given, "Dynamic" where every module has its own."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _table(text: str) -> dict[str, Any]:
    try:
        table = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
