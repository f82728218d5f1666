"""Alphas that are in a file's metadata instead of its tensors."""

import json
import math
from collections.abc import Mapping

from bot.engine.patches.names import Target


class AlphasOfMetadata:
    """The alphas in the metadata of diffusers ≥ 0.35: peft's configuration of each part.

    `<part>.lora_alpha`, `<part>.alpha_pattern` by the end of a path, `<part>.use_rslora`
    (huggingface/diffusers src/diffusers/loaders/lora_base.py; huggingface/peft
    src/peft/tuners/lora/config.py). Malformed entries are ignored.
    """

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._alphas: dict[str, float] = {}
        self._patterns: dict[str, dict[str, float]] = {}
        self._roots: set[str] = set()
        try:
            config = json.loads(metadata.get("lora_adapter_metadata", "{}"))
            for key, value in config.items():
                part, _, option = key.partition(".")
                if option == "lora_alpha":
                    self._alphas[part] = _number(value)
                elif option == "alpha_pattern":
                    self._patterns[part] = {
                        path.lstrip("^").rstrip("$"): _number(a) for path, a in value.items()
                    }
                elif option == "use_rslora" and value is True:
                    self._roots.add(part)
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            self._alphas, self._patterns, self._roots = {}, {}, set()

    def of(self, target: Target, rank: int) -> float | None:
        """The alpha, which divided by the rank is the scale; None where there is none."""
        alpha = self._alphas.get(target.part)
        patterns = self._patterns.get(target.part, {})
        words = target.path.split(".") if patterns else []
        for begin in range(len(words)):  # the longest matching end
            end = ".".join(words[begin:])
            if end in patterns:
                alpha = patterns[end]
                break
        if target.part in self._roots:
            return (rank if alpha is None else alpha) * math.sqrt(rank)
        return alpha


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)
