"""Read an adapter file, check it from its header to its last number, match it to the model."""

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from bot.engine.hashing import HashCache, of_listing
from bot.engine.learned import Learned, bundled
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
from bot.engine.patches.contents import Contents
from bot.engine.patches.file_tensors import PIECE, CutOffError, FileTensors
from bot.engine.patches.fused import placed
from bot.engine.patches.modules import BOUNDED, Module, OtherShape, Plan, modules_of, plan_of
from bot.engine.patches.names import AnyTarget, Target, is_mixed, paths_of
from bot.engine.patches.repeated import ContradictionError, without_repeated
from bot.engine.patches.scales import Scales
from bot.engine.subject import Subject
from bot.progress import Stage
from catalog.weight_files import (
    CONFIG_FILE,
    CONFIG_MAX,
    LOKR,
    UNSUPPORTED,
    BadConfig,
    Configs,
    Header,
    NotSafetensors,
    Opened,
    adapter_facts,
    configs_of,
    open_tensors,
    read_beside,
)
from catalog.weight_files.parts import model_kind

FILE_LIMIT: Final = 8 * 2**30
"""Bytes. The largest published LoRAs for SDXL (rank 512, with convolutions) have about 3 GiB."""

_OF_PEFT: Final = "base_model.model."
"""Before the names of all tensors that peft saves."""
UNKNOWN_BASE: Final = "another base model"


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """The contents of a file that fit the model.

    changes: to apply, in the order of the file; at most two per module, for weight and bias, where
        a module of the file is one of the model.
    total: modules in the file. matched: modules that are in `changes` completely.
    skipped: for the others (name in the file, reason): "no_such_module" in this model, or
        "no_bias" to change; the weight of such a module is still applied.
    unscaled: whether peft's configuration, which states the scale of its files, is missing.
    nbytes: of RAM, held as long as any change lives.
    sha256: of the bytes that were read: the whole file, and peft's configuration if there is one.
    data_sha256: of those after the header.
    stamp: bytes and mtime in ns of the file; None if it was written to while it was read.
    embeddings: inside the file, by token. unused: names of tensors of such that have no use.
    """

    changes: tuple[Change, ...]
    total: int
    matched: int
    skipped: tuple[tuple[str, str], ...]
    unscaled: bool
    nbytes: int
    sha256: str
    data_sha256: str
    stamp: tuple[int, int] | None
    embeddings: Mapping[str, Learned] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def check_header(path: Path, subject: Subject) -> None:
    """Refuse a file that is not an adapter in .safetensors format, from its header alone.

    Raises JobFailed.
    """
    _open(path, subject)[0].file.close()


def _open(path: Path, subject: Subject) -> tuple[Opened, bytes | None, Configs]:
    """The file, and peft's configuration beside it: its bytes, and what they say with the metadata.

    The caller closes the file. Raises JobFailed.
    """
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise subject.failed("adapter.too_large", limit=FILE_LIMIT // 2**30)
        opened = open_tensors(path)
    except NotSafetensors as error:
        raise subject.failed("adapter.not_safetensors", reason=str(error)) from None
    except OSError as error:
        raise subject.unread(path, error) from error
    with ExitStack() as stack:
        stack.enter_context(opened.file)
        header = opened.header
        try:
            beside = read_beside(path)
            configs = configs_of(path, header.metadata, beside)
        except BadConfig as error:
            raise subject.failed("adapter.bad_config", reason=str(error)) from None
        except OSError as error:
            reason = f"{CONFIG_FILE} cannot be opened ({error.strerror})"
            raise subject.failed("adapter.bad_config", reason=reason) from None
        facts = adapter_facts(header.shapes, header.metadata, configs)
        if facts.other and facts.other == model_kind(header.shapes):
            raise subject.failed("adapter.something_else", kind=facts.other)
        if (kind := facts.algorithm) in UNSUPPORTED:
            raise subject.failed("adapter.unsupported", kind=kind)
        stack.pop_all()
    return opened, beside, configs


def read(
    path: Path,
    known: Mapping[str, AnyTarget],
    bases: Collection[str],
    subject: Subject,
    hashes: HashCache | None = None,
) -> AdapterFile:
    """Read and check a whole adapter file, and peft's configuration beside it.

    known: from `Family.targets` of the model that it is for. bases: base models, as
    `catalog.weight_files` names them, whose adapters fit that family. hashes: keeps the digests.
    Raises JobFailed, and what `subject.check_stop` raises.
    """
    opened, beside, configs = _open(path, subject)
    with opened.file:
        digests = hashes.known(path, opened.stat) if hashes else None
        contents = Contents(opened, digests)
        try:
            with contents:
                return _parsed(
                    path, opened.header, configs, beside, contents, known, bases, subject, hashes
                )
        except CutOffError:
            raise subject.failed("adapter.not_safetensors", reason="it is cut off") from None
        except OSError as error:
            raise subject.unread(path, error) from error


def _parsed(
    path: Path,
    header: Header,
    configs: Configs,
    beside: bytes | None,
    contents: Contents,
    known: Mapping[str, AnyTarget],
    bases: Collection[str],
    subject: Subject,
    hashes: HashCache | None,
) -> AdapterFile:
    def tick(fraction: float) -> None:
        subject.tick(Stage.ADAPTERS, fraction)

    tensors = contents.tensors
    biases = any(config.biases for config in configs.values())
    modules = modules_of(header, known, subject, biases=biases)
    reader = _Reader(header, configs, len(modules), bases, subject)
    plans = [reader.plan(module, module.target) for module in modules if module.target]
    if not plans:
        raise reader.matches_nothing()
    contents.wait(tick)
    if not tensors.all_finite(subject.check_stop):
        reader.blame(tensors, plans)
    changes = reader.changes(plans, tensors)
    if not changes:
        raise reader.matches_nothing()
    skipped = [(module.name, "no_such_module") for module in modules if not module.target]
    skipped += [(plan.name, "no_bias") for plan in plans if plan.lacks_bias]
    embeddings, unused = bundled(header, tensors)
    digests, hashed = contents.digests(tick)
    steady = contents.steady
    if hashes and hashed and steady:
        hashes.note(path, contents.stat, digests)
    return AdapterFile(
        changes=tuple(changes),
        total=len(modules),
        matched=len(modules) - len(skipped),
        skipped=tuple(skipped),
        unscaled=any(reader.lacks_scale(plan) for plan in plans),
        nbytes=tensors.nbytes,
        sha256=_with_beside(path, digests[0], beside, subject),
        data_sha256=digests[1],
        stamp=(contents.stat.st_size, contents.stat.st_mtime_ns) if steady else None,
        embeddings=embeddings,
        unused=unused,
    )


def _with_beside(path: Path, digest: str, beside: bytes | None, subject: Subject) -> str:
    """The digest of a file and of peft's configuration, as of the lines that `sha256sum` prints.

    Raises OSError.
    """
    if beside is None:
        return digest
    seen = hashlib.sha256(beside)
    if len(beside) > CONFIG_MAX:  # not read to its end; the metadata has what it could say
        with path.with_name(CONFIG_FILE).open("rb") as file:
            file.seek(len(beside))
            while piece := file.read(PIECE):
                subject.check_stop()
                seen.update(piece)
    return of_listing([(path.name, digest), (CONFIG_FILE, seen.hexdigest())])


class _Reader:
    """Reads one file once. total: its modules."""

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
        if base := self._base_model():
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
        stated = self._scales.of_peft(plan.name, plan.target, plan.rank)
        if stated is not None:
            return stated
        if plan.rank is None or "lora_A" in plan.roles.get("down", ""):
            return 1.0
        return self._scales.of_kohya(plan.target, plan.rank)


def _spelled(shape: Shape) -> str:
    return "×".join(str(side) for side in shape)
