"""Read an adapter file, check it from its header to its last number, match it to the model."""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bot.engine.learned import Learned, bundled
from bot.engine.patches import algorithms, alphas
from bot.engine.patches.algorithms import Algorithm, MalformedError, RankError, Shape
from bot.engine.patches.changes import (
    BiasChange,
    Change,
    Decomposed,
    WeightChange,
    bytes_of,
    magnitude_axis,
)
from bot.engine.patches.file_tensors import CutOffError, FileTensors
from bot.engine.patches.names import Target, split
from bot.engine.subject import Subject, public
from catalog.weight_files import (
    BUNDLE,
    Header,
    NotSafetensors,
    adapter_facts,
    read_header,
    unsupported_kind,
)

FILE_LIMIT: Final = 8 * 2**30
"""Bytes. The largest published LoRAs for SDXL (rank 512, with convolutions) have about 3 GiB."""

ALGORITHMS: Final[tuple[type[Algorithm], ...]] = (
    algorithms.LoRA,
    algorithms.LoHa,
    algorithms.LoKr,
    algorithms.GLoRA,
    algorithms.OFT,
    algorithms.IA3,
    algorithms.Full,
    algorithms.Norm,
)
_BY_ROLE: Final = {role: algorithm for algorithm in ALGORITHMS for role in algorithm.roles}
_DECOMPOSABLE: Final = (algorithms.LoRA, algorithms.LoHa, algorithms.LoKr, algorithms.GLoRA)
_SHARED: Final = frozenset(("alpha", "magnitude", "diff_b", "b_norm", "up_bias"))
_SCALARS: Final = frozenset(("alpha", "on_input"))
"""Roles of single numbers; only these may be integers."""

UNKNOWN_BASE: Final = "another base model"

Roles = dict[str, str]
"""Role of a tensor in a module → its name in the file."""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """The contents of a file that fit the model.

    changes: to apply, in the order of the file; at most two per module, for weight and bias.
    total: modules in the file. matched: modules that are in `changes` completely.
    skipped: for the others (name in the file, reason): "no_such_module" in this model, or
        "no_bias" to change; the weight of such a module is still applied.
    nbytes: of RAM, held as long as any change lives.
    embeddings: inside the file, by token. unused: names of tensors of such that have no use.
    """

    changes: tuple[Change, ...]
    total: int
    matched: int
    skipped: tuple[tuple[str, str], ...]
    nbytes: int
    embeddings: Mapping[str, Learned] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def check_header(path: Path, subject: Subject) -> Header:
    """Refuse a file that is not an adapter in .safetensors format, from its header alone.

    Raises JobFailed.
    """
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise subject.failed("adapter.too_large", limit=FILE_LIMIT // 2**30)
        header = read_header(path)
    except NotSafetensors as error:
        raise subject.failed("adapter.not_safetensors", reason=str(error)) from None
    except OSError:
        raise subject.failed("adapter.missing", path=public(str(path))) from None
    kind = unsupported_kind(header.shapes)
    if kind:
        raise subject.failed("adapter.unsupported", kind=kind)
    return header


def read(
    path: Path, known: Mapping[str, Target], bases: Collection[str], subject: Subject
) -> AdapterFile:
    """Read and check a whole adapter file.

    known: from `Family.targets` of the model that it is for. bases: base models, as
    `catalog.weight_files` names them, whose adapters fit that family. Raises JobFailed, and what
    `subject.check_stop` raises.
    """
    header = check_header(path, subject)
    modules = _modules(header, subject)
    reader = _Reader(header, modules, bases, subject)
    matched = {name: known[name] for name in modules if name in known}
    if not matched:
        raise reader.matches_nothing()
    twice = Counter(matched.values())
    for name, target in matched.items():
        if twice[target] > 1:  # one module under two names
            raise subject.failed("adapter.broken", module=name)
    plans = [reader.plan(name, target) for name, target in matched.items()]
    try:
        contents = FileTensors(path, header, subject.check_stop)
    except CutOffError:
        raise subject.failed("adapter.not_safetensors", reason="it is cut off") from None
    except OSError:
        raise subject.failed("adapter.missing", path=public(str(path))) from None
    if not contents.all_finite(subject.check_stop):
        reader.blame(contents, matched)
    changes: list[Change] = []
    for plan in plans:
        changes += reader.changes(plan, contents)
    if not changes:
        raise reader.matches_nothing()
    skipped = [(name, "no_such_module") for name in modules if name not in known]
    skipped += [(plan.name, "no_bias") for plan in plans if plan.lacks_bias]
    return AdapterFile(
        tuple(changes),
        len(modules),
        len(modules) - len(skipped),
        tuple(skipped),
        contents.nbytes,
        *bundled(header, contents),
    )


def _modules(header: Header, subject: Subject) -> dict[str, Roles]:
    """The modules of a file, in its order. Raises JobFailed for a tensor of unknown meaning."""
    modules: dict[str, Roles] = {}
    for tensor in header.shapes:
        if tensor.startswith(BUNDLE):
            continue
        where = split(tensor)
        if where is None:
            raise _unknown(tensor, subject)
        roles = modules.setdefault(where[0], {})
        if where[1] in roles:
            raise subject.failed("adapter.broken", module=where[0])
        roles[where[1]] = tensor
    for roles in modules.values():
        if "weight" in roles and "on_input" not in roles:
            raise _unknown(roles["weight"], subject)
    return modules


def _unknown(tensor: str, subject: Subject) -> Exception:
    return subject.failed("adapter.unknown_tensor", tensor=tensor[:100])


@dataclass(frozen=True, slots=True)
class _Plan:
    """A module that fits the model, before its tensors are read.

    algorithm: None when only its bias changes.
    """

    name: str
    target: Target
    algorithm: type[Algorithm] | None
    lacks_bias: bool
    axis: int


class _Reader:
    """Reads one file once."""

    def __init__(
        self,
        header: Header,
        modules: Mapping[str, Roles],
        bases: Collection[str],
        subject: Subject,
    ) -> None:
        self._header = header
        self._modules = modules
        self._bases = bases
        self._subject = subject
        self._alphas = alphas.AlphasOfMetadata(header.metadata)

    def matches_nothing(self) -> Exception:
        if base := self._base_model():
            return self._other_base(base)
        return self._subject.failed("adapter.matches_nothing", tensors=len(self._header.shapes))

    def _other_base(self, base: str) -> Exception:
        return self._subject.failed("adapter.other_base", family=base, total=len(self._modules))

    def _base_model(self) -> str:
        return adapter_facts(self._header.shapes, self._header.metadata).base

    def _shapes(self, name: str) -> dict[str, Shape]:
        return {role: self._header.shapes[key] for role, key in self._modules[name].items()}

    def plan(self, name: str, target: Target) -> _Plan:
        """Check the shapes of a module."""
        shapes = self._shapes(name)
        try:
            return self._checked(name, target, shapes)
        except RankError as error:
            raise self._subject.failed(
                "adapter.rank_too_high",
                module=name,
                rank=error.args[0],
                limit=algorithms.RANK_LIMIT,
            ) from None
        except MalformedError:
            raise self._subject.failed("adapter.broken", module=name) from None

    def _checked(self, name: str, target: Target, shapes: Mapping[str, Shape]) -> _Plan:
        algorithm = _algorithm_of(shapes)
        for role in _SCALARS & shapes.keys():
            if math.prod(shapes[role]) != 1:
                raise MalformedError
        if any(
            "F" not in self._header.dtypes[self._modules[name][r]] for r in shapes.keys() - _SCALARS
        ):
            raise MalformedError
        if algorithm:
            made = algorithm.shape(shapes, target.shape)
            if not _fits(made, target.shape):
                raise self._other_shape(name, made, target.shape)
        biases = shapes.keys() & {"diff_b", "b_norm", "up_bias"}
        if len(biases) > 1 or not (algorithm or biases):
            raise MalformedError
        for role in biases:
            if math.prod(shapes[role]) != target.shape[0]:
                raise self._other_shape(name, shapes[role], target.shape[:1])
        axis = -1
        if "magnitude" in shapes:
            if algorithm not in _DECOMPOSABLE:
                raise MalformedError
            of_rows = "lora_magnitude_vector" in self._modules[name]["magnitude"]
            axis = magnitude_axis(shapes["magnitude"], target.shape, of_rows=of_rows)
        return _Plan(name, target, algorithm, bool(biases) and not target.has_bias, axis)

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

    def blame(self, contents: FileTensors, matched: Mapping[str, Target]) -> None:
        """Raise JobFailed naming a module with NaN or infinity; unused ones do no harm."""
        for name in matched:
            for key in self._modules[name].values():
                if not contents.is_finite(key):
                    raise self._subject.failed("adapter.not_finite", module=name)

    def changes(self, plan: _Plan, contents: FileTensors) -> list[Change]:
        """The changes of a module: of its weight, of its bias, or both."""
        roles, target = self._modules[plan.name], plan.target
        try:
            tensors = {role: contents.tensor(key) for role, key in roles.items()}
            alpha = float(tensors["alpha"].item()) if "alpha" in tensors else None
            if alpha is None and "down" in tensors:
                alpha = self._alphas.of(target, tensors["down"].shape[0])
            changes: list[Change] = []
            weight = f"{target.path}.weight"
            if plan.algorithm:
                algorithm = plan.algorithm.build(tensors, alpha, target.shape)
                used = [tensors[role] for role in plan.algorithm.roles & tensors.keys()]
                if plan.axis < 0:
                    changes.append(WeightChange(target.part, weight, bytes_of(used), algorithm))
                else:
                    magnitude = tensors["magnitude"]
                    size = bytes_of([*used, magnitude])
                    changes.append(
                        Decomposed(target.part, weight, size, algorithm, magnitude, plan.axis)
                    )
            if not plan.lacks_bias:
                bias = f"{target.path}.bias"
                changes += [
                    BiasChange(target.part, bias, tensors[role], 1.0)
                    for role in ("diff_b", "b_norm")
                    if role in tensors
                ]
                if "up_bias" in tensors:
                    rank = tensors["down"].shape[0]
                    scale = 1.0 if alpha is None else alpha / rank
                    changes.append(BiasChange(target.part, bias, tensors["up_bias"], scale))
        except (MalformedError, KeyError):
            raise self._subject.failed("adapter.broken", module=plan.name) from None
        return changes


def _algorithm_of(shapes: Mapping[str, Shape]) -> type[Algorithm] | None:
    """The algorithm whose tensors a module has; None when it only has a bias.

    shapes: by role. Raises MalformedError when it has tensors of two algorithms.
    """
    found = {_BY_ROLE[role] for role in shapes if role not in _SHARED}
    if len(found) > 1:
        raise MalformedError
    if not found:
        return None
    algorithm = found.pop()
    if algorithm is algorithms.OFT and len(shapes.get("oft_blocks", ())) == 4:
        return algorithms.BOFT
    return algorithm


def _fits(made: Shape, wanted: Shape) -> bool:
    """Whether both are equal, or `made` is flattened, or one has an extra 1×1."""
    if len(made) == 2 < len(wanted):
        return made == (wanted[0], math.prod(wanted[1:]))
    return _trimmed(made) == _trimmed(wanted)


def _trimmed(shape: Shape) -> Shape:
    """Without the 1×1 that distinguishes a convolution from an equivalent Linear."""
    return shape[:2] if all(side == 1 for side in shape[2:]) else shape


def _spelled(shape: Shape) -> str:
    return "×".join(str(side) for side in shape)
