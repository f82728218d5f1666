"""Check the modules of an adapter file to their last number, and read what they change."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import torch

from bot.engine.patches import algorithms
from bot.engine.patches.algorithms import MalformedError, Shape, Stated
from bot.engine.patches.changes import (
    BiasChange,
    BiasReplaced,
    BiasScaled,
    Change,
    Decomposed,
    WeightChange,
    bytes_of,
)
from bot.engine.patches.file_tensors import FileTensors
from bot.engine.patches.fused import placed
from bot.engine.patches.modules import BOUNDED, Module, OtherShape, Plan, plan_of
from bot.engine.patches.names import AnyTarget, Target, is_mixed, paths_of
from bot.engine.patches.repeated import ContradictionError, without_repeated
from bot.engine.patches.scales import Scales
from bot.engine.subject import Subject
from catalog.weight_files import LOKR, Configs, Header, adapter_facts

_OF_PEFT: Final = "base_model.model."
"""Before the names of all tensors that peft saves."""
UNKNOWN_BASE: Final = "another base model"


class ModuleReader:
    """Reads the modules of one file once.

    configs: peft's, by adapter. total: modules in the file. bases: base models whose adapters fit.
    """

    def __init__(
        self,
        header: Header,
        configs: Configs,
        total: int,
        bases: Collection[str],
        subject: Subject,
    ) -> None:
        self._header = header
        self._configs = configs
        self._total = total
        self._bases = bases
        self._subject = subject
        self._scales = Scales(header.metadata, configs)

    def matches_nothing(self) -> Exception:
        base = self._base_model()
        if base and base not in self._bases:
            return self._other_base(base)
        shapes = self._header.shapes
        example = next(name for name in shapes)[:100]
        return self._subject.failed("adapter.matches_nothing", tensors=len(shapes), example=example)

    def _other_base(self, base: str) -> Exception:
        return self._subject.failed("adapter.other_base", family=base, total=self._total)

    def _base_model(self) -> str:
        header = self._header
        return adapter_facts(header.shapes, header.metadata, self._configs).base

    def plan(self, module: Module, target: AnyTarget) -> Plan:
        """Check the shapes of a module."""
        try:
            plan = plan_of(module, target, self._header)
        except algorithms.RankError as error:
            raise self._subject.failed(
                "adapter.rank_too_high",
                module=module.name,
                rank=error.args[0],
                limit=algorithms.RANK_LIMIT,
            ) from None
        except OtherShape as error:
            raise self._other_shape(module.name, *error.args) from None
        except MalformedError:
            raise self._broken(module.name) from None
        config = self._scales.config(target)
        if config and config.dora and plan.algorithm is algorithms.LoRA and plan.axis < 0:
            raise self._broken(module.name)  # its magnitude is missing
        return plan

    def _broken(self, name: str) -> Exception:
        return self._subject.failed("adapter.broken", module=name)

    def _other_shape(self, name: str, found: Shape, expected: Shape) -> Exception:
        base = self._base_model()
        if base and base not in self._bases:
            # Some modules of other base models have the names and even the shapes of ours.
            return self._other_base(base)
        return self._subject.failed(
            "adapter.other_shape",
            module=name,
            found=_spelled(found),
            expected=_spelled(expected),
            family=base or UNKNOWN_BASE,
        )

    def lacks_scale(self, plan: Plan) -> bool:
        """Whether a module was saved by peft, without the configuration that tells its scale."""
        if plan.rank is None or "alpha" in plan.roles:
            return False
        if self._scales.of_peft(plan.name, plan.target, plan.rank) is not None:
            return False
        return any(key.startswith(_OF_PEFT) for key in plan.roles.values())

    def blame(self, contents: FileTensors, plans: Collection[Plan]) -> None:
        """Raise JobFailed naming a module with NaN or infinity in a tensor that is used."""
        for plan in plans:
            for role in plan.used:
                key = plan.roles[role]
                unlimited = role == "alpha" and plan.algorithm in BOUNDED  # an infinite bound
                if not contents.is_finite(key) and not (
                    unlimited and contents.tensor(key).isinf().all()
                ):
                    raise self._subject.failed("adapter.not_finite", module=plan.name)

    def changes(self, plans: Collection[Plan], contents: FileTensors) -> list[Change]:
        """The changes of the model's parameters that the modules make."""
        found: list[tuple[str, Change]] = []
        for plan in plans:
            try:
                for whole in self._changes(plan, contents):
                    found += ((plan.name, change) for change in placed(whole, plan.target))
            except (MalformedError, KeyError):
                raise self._broken(plan.name) from None
        if not is_mixed(plan.target for plan in plans):
            return [change for _, change in found]
        try:
            return without_repeated(found)
        except ContradictionError as error:
            raise self._broken(error.args[0]) from None

    def _changes(self, plan: Plan, contents: FileTensors) -> Iterator[Change]:
        """The changes of a module as the file has it: of its weight, of its bias, or both."""
        target = plan.target
        path = target.path if isinstance(target, Target) else plan.name
        tensors = {role: contents.tensor(plan.roles[role]) for role in plan.used}
        stated = self._stated(plan, tensors)
        if plan.algorithm:
            weight = f"{path}.weight"
            algorithm = plan.algorithm.build(tensors, stated, target.shape)
            used = [tensors[role] for role in plan.algorithm.roles & tensors.keys()]
            if plan.axis < 0:
                yield WeightChange(target.part, weight, bytes_of(used), algorithm)
            else:
                magnitude = tensors["magnitude"]
                size = bytes_of([*used, magnitude])
                yield Decomposed(target.part, weight, size, algorithm, magnitude, plan.axis)
            scaled = isinstance(algorithm, algorithms.PeftIA3) and not algorithm.on_input
            if scaled and target.has_bias:
                yield BiasScaled(target.part, f"{path}.bias", tensors["ia3_l"])
        if "new_bias" in tensors:
            yield BiasReplaced(target.part, f"{path}.bias", tensors["new_bias"])
        for role in ("diff_b", "b_norm", "up_bias"):
            if role in tensors:
                scale = stated.scale if role == "up_bias" else 1.0
                yield BiasChange(target.part, f"{path}.bias", tensors[role], scale)

    def _stated(self, plan: Plan, tensors: Mapping[str, torch.Tensor]) -> Stated:
        """What the algorithm of a module is told besides its own tensors."""
        alpha = float(tensors["alpha"].item()) if "alpha" in tensors else None
        config = self._scales.config(plan.target)
        if plan.algorithm in BOUNDED:
            return Stated(bound=alpha if alpha and math.isfinite(alpha) else 0.0)
        if plan.algorithm is algorithms.PeftOFT and config:
            return Stated(series=config.series, bound=config.bound)
        if plan.algorithm is algorithms.PeftIA3 and config:
            paths = paths_of(plan.name, plan.target)
            return Stated(on_input=config.feedforward.find(paths) is not None)
        scale = self._scale(plan, alpha)
        if "scalar" in tensors:
            scale *= float(tensors["scalar"].item())
        if not abs(scale) <= algorithms.SCALE_LIMIT:
            raise MalformedError
        return Stated(scale=scale)

    def _scale(self, plan: Plan, alpha: float | None) -> float:
        if plan.rank is None:  # two whole factors of a LoKr
            config = self._scales.config(plan.target)
            if plan.algorithm is not algorithms.LoKr or "alpha" in plan.roles:
                return 1.0
            if config is None or config.method != LOKR:
                return 1.0
        elif alpha is not None:
            return alpha / plan.rank
        # Without an alpha, sd-scripts (create_network_from_weights), ComfyUI and the web UI take it
        # to be the rank, whatever kohya's metadata say.
        stated = self._scales.of_peft(plan.name, plan.target, plan.rank)
        return 1.0 if stated is None else stated


def _spelled(shape: Shape) -> str:
    return "×".join(str(side) for side in shape)
