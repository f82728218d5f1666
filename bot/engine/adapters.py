"""Putting LoRAs on a pipeline with peft, and taking them off without a trace."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer

from bot.engine.adapter_file import Delta
from bot.engine.adapter_names import PARTS


def apply(pipeline: Any, adapters: Sequence[Sequence[Delta]]) -> None:
    """Put all of `adapters` on a clean pipeline, in this order, each with weight 1.

    The order counts: sums of rounded numbers depend on it. When it fails, `remove` cleans up.
    """
    for number, deltas in enumerate(adapters):
        for part in PARTS:
            own = [delta for delta in deltas if delta.target.part == part]
            if own:
                _inject(getattr(pipeline, part), own, _name(number))


def set_weights(pipeline: Any, weights: Sequence[float]) -> None:
    """Set the weight of each applied adapter, in the order of `apply`; 0 switches it off."""
    names = [_name(number) for number in range(len(weights))]
    for part in PARTS:
        for module in getattr(pipeline, part).modules():
            if isinstance(module, BaseTunerLayer):
                module.set_adapter(names, inference_mode=True)
                for name, weight in zip(names, weights, strict=True):
                    module.set_scale(name, weight)


def remove(pipeline: Any) -> None:
    """Take every adapter off. The modules beneath were never changed, so nothing can drift."""
    for part in PARTS:
        model = getattr(pipeline, part)
        layers = [(p, m) for p, m in model.named_modules() if isinstance(m, BaseTunerLayer)]
        for path, layer in layers:
            model.set_submodule(path, layer.get_base_layer())
        if hasattr(model, "peft_config"):
            del model.peft_config


def _name(number: int) -> str:
    return f"adapter_{number}"


def _inject(model: Any, deltas: Sequence[Delta], name: str) -> None:
    parameter = next(model.parameters())
    tensors: dict[str, torch.Tensor] = {}
    for delta in deltas:
        for side, tensor in (("A", delta.down), ("B", delta.up)):
            key = f"{delta.target.path}.lora_{side}.weight"
            tensors[key] = tensor.to(parameter.device, parameter.dtype)
    ranks = {delta.target.path: delta.rank for delta in deltas}
    alphas = {delta.target.path: delta.alpha for delta in deltas}
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    config = LoraConfig(
        r=int(rank),
        lora_alpha=alpha,
        target_modules=list(ranks),
        # Exceptions only: peft tries every pattern as a regular expression on every module.
        rank_pattern={f"^{path}": value for path, value in ranks.items() if value != rank},
        alpha_pattern={f"^{path}": value for path, value in alphas.items() if value != alpha},
        inference_mode=True,
    )
    options = {"low_cpu_mem_usage": True}
    inject_adapter_in_model(config, model, adapter_name=name, state_dict=tensors, **options)
    set_peft_model_state_dict(model, tensors, adapter_name=name, **options)
