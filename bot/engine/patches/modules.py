"""The modules of an adapter file: their tensors by role, and the algorithm that these make up."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bot.engine.patches import algorithms
from bot.engine.patches.algorithms import Algorithm, MalformedError, Shape
from bot.engine.patches.changes import magnitude_axis
from bot.engine.patches.names import AnyTarget, Spellings, is_mixed
from bot.engine.subject import Subject
from catalog.weight_files import Header, is_bundled, split, strays

ALGORITHMS: Final[tuple[type[Algorithm], ...]] = (
    algorithms.LoRA,
    algorithms.LoHa,
    algorithms.LoKr,
    algorithms.GLoRA,
    algorithms.OFT,
    algorithms.IA3,
    algorithms.Full,
    algorithms.Norm,
    algorithms.PeftOFT,
    algorithms.PeftBOFT,
    algorithms.PeftIA3,
)
_BY_ROLE: Final = {role: algorithm for algorithm in ALGORITHMS for role in algorithm.roles}
_SCALED: Final = (algorithms.LoRA, algorithms.LoHa, algorithms.LoKr, algorithms.GLoRA)
"""Products of factors, with a scale and perhaps a magnitude."""
BOUNDED: Final = (algorithms.OFT, algorithms.BOFT)
"""Rotations, with an alpha that bounds them."""
_BIASES: Final = frozenset(("diff_b", "b_norm", "up_bias", "new_bias"))
_SHARED: Final = _BIASES | {"alpha", "scalar", "magnitude"}
_UNREAD: Final = frozenset(("alpha", "scalar"))
"""Roles that change nothing by themselves."""
_NUMBERS: Final = frozenset(("alpha", "scalar", "on_input"))
"""Roles of single numbers; only these may be integers."""


class OtherShape(Exception):
    """Tensors are for weights of another shape. args: theirs, the model's."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module of a file.

    name: the first by which the file calls it. roles: role of a tensor → its name in the file.
    target: None if the model has no such module.
    """

    name: str
    roles: Mapping[str, str]
    target: AnyTarget | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A module that fits the model, before its tensors are read.

    algorithm: None when only its bias changes. used: roles that its formula reads.
    axis: of its magnitude, -1 without one.
    """

    name: str
    roles: Mapping[str, str]
    target: AnyTarget
    algorithm: type[Algorithm] | None
    rank: int | None
    used: frozenset[str]
    lacks_bias: bool
    axis: int


def modules_of(
    header: Header, spellings: Spellings, subject: Subject, *, biases: bool
) -> tuple[Module, ...]:
    """The modules of a file, in its order, without embeddings and `strays`.

    biases: as in `split`.
    Raises JobFailed for a tensor of unknown meaning, and for two tensors of one meaning.
    """
    found: dict[str, dict[str, str]] = {}
    left_out = strays(header.shapes, biases=biases)
    for tensor in header.shapes:
        if is_bundled(tensor) or tensor in left_out:
            continue
        where = split(tensor, biases=biases)
        if where is None:
            raise _unknown(tensor, subject)
        roles = found.setdefault(where[0], {})
        if where[1] in roles:
            raise subject.failed("adapter.broken", module=where[0])
        roles[where[1]] = tensor
    for roles in found.values():
        if "weight" in roles and "on_input" not in roles:
            raise _unknown(roles["weight"], subject)
    targets = {name: spellings.target(name) for name in found}
    if not any(targets.values()):
        targets |= _of_one_part(header, found, spellings)
    mixed = is_mixed(targets.values())
    modules: dict[AnyTarget | str, Module] = {}
    for name, roles in found.items():
        target = targets[name]
        module = modules.setdefault(target or name, Module(name, roles, target))
        if module.roles is not roles:  # one module in two spellings
            if not module.roles.keys() & roles.keys():
                joined = {**module.roles, **roles}
                modules[target or name] = Module(module.name, joined, target)
            elif mixed:  # perhaps the same tensors again; see `repeated`
                modules[name] = Module(name, roles, target)
            else:
                raise subject.failed("adapter.broken", module=name)
    whole = tuple(m for m in modules.values() if m.target is None or m.roles.keys() - _UNREAD)
    if len(whole) < len(modules) and not any(module.target for module in whole):
        raise subject.failed("adapter.broken", module=next(iter(modules.values())).name)
    return whole


def _unknown(tensor: str, subject: Subject) -> Exception:
    return subject.failed("adapter.unknown_tensor", tensor=tensor[:100])


def _of_one_part(
    header: Header,
    found: Mapping[str, Mapping[str, str]],
    spellings: Spellings,
) -> dict[str, AnyTarget | None]:
    """Targets of names that do not tell the part, as of one text encoder that a trainer wrapped.

    It is the only one that has all these modules in these shapes.
    """
    fitting: list[dict[str, AnyTarget | None]] = []
    for part in sorted({target.part for target in spellings.known.values()}):
        targets = {name: spellings.target_in(part, name) for name in found}
        if all(
            target and _fits_in(header, found[name], target) for name, target in targets.items()
        ):
            fitting.append(targets)
    return fitting[0] if len(fitting) == 1 else {}


def _fits_in(header: Header, roles: Mapping[str, str], target: AnyTarget) -> bool:
    try:
        plan_of(Module("", roles, target), target, header)
    except (MalformedError, algorithms.RankError, OtherShape):
        return False
    return True


def plan_of(module: Module, target: AnyTarget, header: Header) -> Plan:
    """Check the names, dtypes and shapes of a module's tensors, as far as its formula reads them.

    Raises MalformedError, RankError, OtherShape.
    """
    shapes = {role: header.shapes[key] for role, key in module.roles.items()}
    algorithm = _algorithm_of(shapes)
    biases = shapes.keys() & _BIASES
    if len(biases) > 1 or not (algorithm or biases):
        raise MalformedError
    made = algorithm.shape(shapes, target.shape) if algorithm else target.shape
    rank = algorithm.rank(shapes) if algorithm else None
    used = frozenset(_used(shapes, algorithm, rank, has_bias=target.has_bias))
    for role in used:
        number = role in _NUMBERS
        if number and math.prod(shapes[role]) != 1:
            raise MalformedError
        if not number and "F" not in header.dtypes[module.roles[role]]:
            raise MalformedError
    if not _fits(made, target.shape):
        raise OtherShape(made, target.shape)
    for role in biases:
        if math.prod(shapes[role]) != target.shape[0]:
            raise OtherShape(shapes[role], target.shape[:1])
    axis = -1
    if "magnitude" in shapes:
        if algorithm not in _SCALED:
            raise MalformedError
        of_rows = _is_of_peft(module.roles)
        axis = magnitude_axis(shapes["magnitude"], target.shape, of_rows=of_rows)
    lacks_bias = bool(biases) and not target.has_bias
    return Plan(module.name, module.roles, target, algorithm, rank, used, lacks_bias, axis)


def _is_of_peft(roles: Mapping[str, str]) -> bool:
    """Whether a magnitude has the shape that peft gives it, whatever it is called.

    diffusers' converter to kohya's names renames it, and leaves a dot in its module's name that
    those of the factors have not got.
    """
    magnitude = roles["magnitude"]
    module = magnitude.partition(".dora_scale")[0]
    factor = roles.get("down", f"{module}.")
    return "lora_magnitude_vector" in magnitude or not factor.startswith(f"{module}.")


def _used(
    shapes: Mapping[str, Shape],
    algorithm: type[Algorithm] | None,
    rank: int | None,
    *,
    has_bias: bool,
) -> Iterator[str]:
    """The roles that the formula of a module reads."""
    for role in shapes:
        if role == "alpha":
            read = rank is not None or algorithm in BOUNDED
        elif role == "scalar":
            read = algorithm in _SCALED
        else:
            read = has_bias or role not in _BIASES
        if read:
            yield role


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
