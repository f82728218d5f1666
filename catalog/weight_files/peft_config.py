"""What peft's configuration of an adapter says beside its tensors: scales, ranks, variants.

`save_pretrained` of peft writes it as adapter_config.json next to adapter_model.safetensors
(huggingface/peft src/peft/config.py, src/peft/tuners/*/config.py); diffusers ≥ 0.35 puts the same
fields into the file's metadata, once per network or for the only one
(huggingface/diffusers src/diffusers/loaders/lora_base.py, peft.py). Missing fields have the
defaults of peft.
"""

import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog.weight_files.header import HeaderError
from catalog.weight_files.json_object import NotAnObject, json_object
from catalog.weight_files.patterns import NO_PATTERNS, ElaboratePattern, Patterns

CONFIG_FILE: Final = "adapter_config.json"
WEIGHTS_FILE: Final = "adapter_model.safetensors"
CONFIG_MAX: Final = 2**20
"""In bytes: alphas for every module of SDXL take 0.2 MB."""
_IN_METADATA: Final = "lora_adapter_metadata"
_RANK_MAX: Final = 2**31
ALL_PARTS: Final = ""
"""The part of a configuration that does not name one."""

_STATED: Final = {"peft_type", "target_modules"}
"""Fields that peft always writes."""

LORA: Final = "LORA"
LOKR: Final = "LOKR"
OFT: Final = "OFT"
_TERMS: Final = "num_cayley_neumann_terms"
_LYCORIS: Final = frozenset(("LOHA", LOKR))
_APPLIED: Final = frozenset((LORA, *_LYCORIS, OFT, "BOFT", "IA3"))
_KIND_OF_METHOD: Final = {"ADALORA": "AdaLoRA", "VERA": "VeRA"}
_OTHER_METHOD: Final = "another method of peft"
_BIASES: Final = ("none", "all", "lora_only", "boft_only", "oft_only")
_HARMLESS_STARTS: Final = frozenset(("gaussian", "eva", "orthogonal", "mica"))
_KIND_OF_START: Final = (
    ("pissa", "PiSSA"),
    ("olora", "OLoRA"),
    ("corda", "CorDA"),
    ("loftq", "LoftQ"),
    ("lora_ga", "LoRA-GA"),
)
"""Initialisations after which a LoRA only fits the weights that its trainer changed."""
_KIND_OF_FIELD: Final = {
    "layer_replication": "LoRA with replicated layers",
    "alora_invocation_tokens": "aLoRA",
    "use_qalora": "QALoRA",
    "velora_config": "VeLoRA",
    "monteclora_config": "MonteCLoRA",
    "use_bdlora": "BD-LoRA",
    "arrow_config": "Arrow",
    "kasa_config": "KaSA",
}
"""Fields that make another algorithm of a LoRA."""

CONFIG_KINDS: Final = tuple(
    dict.fromkeys(
        (
            *_KIND_OF_METHOD.values(),
            _OTHER_METHOD,
            *(kind for _, kind in _KIND_OF_START),
            *_KIND_OF_FIELD.values(),
        )
    )
)
"""Every value of `PeftConfig.unsupported`."""


class BadConfig(HeaderError):
    """The configuration of an adapter cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class PeftConfig:
    """The fields that change what the tensors of an adapter mean.

    method: of peft, such as "LORA"; "" where the metadata does not say.
    unsupported: of CONFIG_KINDS, if it cannot be applied.
    alpha, rank: of modules that no pattern names; the scale is their quotient.
    root: rsLoRA, whose scale is alpha/√rank.
    dora: every LoRA module has a magnitude.
    series: terms of the Neumann series that OFT takes for its rotations; 0 for the exact inverse.
    bound: of the norm of OFT's rotations in all, 0.0 for none.
    biases: the file has trained biases, which replace the model's.
    feedforward: patterns of the modules of which (IA)³ scales the input.
    """

    method: str = ""
    unsupported: str | None = None
    alpha: float = 8.0
    rank: int = 8
    alphas: Patterns = NO_PATTERNS
    ranks: Patterns = NO_PATTERNS
    root: bool = False
    dora: bool = False
    series: int = 5
    bound: float = 0.0
    biases: bool = False
    feedforward: Patterns = NO_PATTERNS

    def scale(self, paths: tuple[str, ...], rank: int | None) -> float:
        """The factor of the product of a module.

        paths: that it goes by. rank: of its tensors, None if they have none.
        """
        alpha = self.alphas.find(paths)
        if rank is None:
            stated = self.ranks.find(paths)
            rank = self.rank if stated is None else int(stated)
        return (self.alpha if alpha is None else alpha) / (math.sqrt(rank) if self.root else rank)


Configs = Mapping[str, PeftConfig]
"""By part of the model, as diffusers names it ("unet"), or ALL_PARTS."""


def config_file(weights: Path) -> Path | None:
    """peft's configuration of an adapter file, if there is one. Raises OSError.

    It belongs to the file that peft names, or to the only adapter of its folder.
    """
    beside = weights.with_name(CONFIG_FILE)
    try:
        if not stat.S_ISREG(beside.stat().st_mode):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    if weights.name != WEIGHTS_FILE:
        # Stops at the first one: to list a folder of thousands for each of its files takes minutes.
        with os.scandir(weights.parent) as entries:
            others = (entry.name for entry in entries if entry.name != weights.name)
            if any(Path(name).suffix.lower() == ".safetensors" for name in others):
                return None
    return beside


def read_configs(weights: Path, metadata: Mapping[str, str]) -> Configs:
    """The configurations of an adapter file, from its metadata or from the file beside it.

    Raises BadConfig.
    """
    try:
        beside = None if _IN_METADATA in metadata else read_beside(weights)
    except OSError as error:
        raise BadConfig(f"{CONFIG_FILE} cannot be opened ({error.strerror})") from None
    return configs_of(weights, metadata, beside)


def read_beside(weights: Path) -> bytes | None:
    """The bytes of `config_file`, up to one more than CONFIG_MAX. Raises OSError."""
    beside = config_file(weights)
    if beside is None:
        return None
    with beside.open("rb") as file:
        return file.read(CONFIG_MAX + 1)


def configs_of(weights: Path, metadata: Mapping[str, str], beside: bytes | None) -> Configs:
    """As `read_configs`, from what `read_beside` returned."""
    if _IN_METADATA in metadata:
        return _of_metadata(metadata[_IN_METADATA])
    if beside is None:
        return {}
    fields = _table(beside, CONFIG_FILE)
    if weights.name != WEIGHTS_FILE and not fields.keys() >= _STATED:
        return {}  # some repositories have one that only names the base model
    if not isinstance(fields.get("peft_type"), str):
        raise _bad(CONFIG_FILE, "peft_type", fields.get("peft_type"), "the name of a method")
    return {ALL_PARTS: _parsed(fields, CONFIG_FILE)}


def _of_metadata(text: str) -> Configs:
    where = _IN_METADATA
    parts: dict[str, dict[str, Any]] = {}
    for key, value in _table(text.encode(errors="replace"), where).items():
        part, dot, option = key.partition(".")
        if dot:
            parts.setdefault(part, {})[option] = value
        else:
            parts.setdefault(ALL_PARTS, {})[key] = value
    return {part: _parsed(fields, where, part) for part, fields in parts.items()}


def _table(raw: bytes, where: str) -> dict[str, Any]:
    try:
        return json_object(raw, CONFIG_MAX)
    except NotAnObject as error:
        raise BadConfig(f"{where} {error}") from None


def _parsed(fields: Mapping[str, Any], where: str, part: str = "") -> PeftConfig:
    return _Fields(fields, f"{where}, {part}" if part else where).config()


def _bad(where: str, field: str, value: object, allowed: str) -> BadConfig:
    return BadConfig(f"{where}: {field} must be {allowed}, got {ascii(value)[:60]}")


class _Fields:
    """The fields of one configuration, checked as they are read. All methods raise BadConfig."""

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self._fields = fields
        self._where = where

    def config(self) -> PeftConfig:
        method = self._fields.get("peft_type")
        method = method if isinstance(method, str) else ""
        if method and method not in _APPLIED:
            return PeftConfig(method, _KIND_OF_METHOD.get(method, _OTHER_METHOD))
        if method == OFT:
            return self._oft()
        if method == "IA3":
            return PeftConfig(method, feedforward=self._feedforward())
        if method == "BOFT":
            return PeftConfig(method, biases=self._biases())
        lora = method not in _LYCORIS
        return PeftConfig(
            method,
            self._variant() if lora else None,
            alpha=self._number("lora_alpha" if lora else "alpha", 8.0),
            rank=self._rank("r", self._fields.get("r", 8)),
            alphas=self._patterns("alpha_pattern"),
            ranks=self._patterns("rank_pattern"),
            root=lora and self._flag("use_rslora"),
            dora=lora and self._flag("use_dora"),
            biases=lora and self._biases(),
        )

    def _variant(self) -> str | None:
        for field, kind in _KIND_OF_FIELD.items():
            if self._fields.get(field):
                return kind
        start = self._fields.get("init_lora_weights", True)
        if start is None or isinstance(start, bool):
            return None
        name = start.lower() if isinstance(start, str) else ""
        if name in _HARMLESS_STARTS:
            return None
        for prefix, kind in _KIND_OF_START:
            if name.startswith(prefix):
                return kind
        known = ", ".join(("true", "false", *sorted(_HARMLESS_STARTS)))
        raise _bad(self._where, "init_lora_weights", start, f"one of {known}")

    def _oft(self) -> PeftConfig:
        terms = self._rank(_TERMS, self._fields.get(_TERMS, 5))
        bound = self._number("eps", 6e-5) if self._flag("coft") else 0.0
        series = terms if self._flag("use_cayley_neumann", default=True) else 0
        return PeftConfig(OFT, series=series, bound=bound, biases=self._biases())

    def _feedforward(self) -> Patterns:
        said = self._fields.get("feedforward_modules") or []
        names = said if isinstance(said, list) else [said]
        if not all(isinstance(name, str) for name in names):
            raise _bad(self._where, "feedforward_modules", said, "names of modules")
        return self._compiled("feedforward_modules", dict.fromkeys(names, 1.0))

    def _biases(self) -> bool:
        value = self._fields.get("bias", "none")
        if value not in _BIASES:
            raise _bad(self._where, "bias", value, f"one of {', '.join(_BIASES)}")
        return bool(value != "none")

    def _number(self, field: str, default: float) -> float:
        value = self._fields.get(field, default)
        if not _is_number(value):
            raise _bad(self._where, field, value, "a number")
        return float(value)

    def _rank(self, field: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _RANK_MAX:
            raise _bad(self._where, field, value, f"a whole number from 1 to {_RANK_MAX}")
        return value

    def _flag(self, field: str, *, default: bool = False) -> bool:
        value = self._fields.get(field, default)
        if value is not None and not isinstance(value, bool):
            raise _bad(self._where, field, value, "true or false")
        return bool(value)

    def _patterns(self, field: str) -> Patterns:
        table = self._fields.get(field) or {}
        if not isinstance(table, dict):
            raise _bad(self._where, field, table, "a table of numbers")
        for key, value in table.items():
            if field == "rank_pattern":
                self._rank(f"{field} of {key[:80]!a}", value)
            elif not _is_number(value):
                raise _bad(self._where, f"{field} of {key[:80]!a}", value, "a number")
        return self._compiled(field, table)

    def _compiled(self, field: str, table: Mapping[str, float]) -> Patterns:
        try:
            return Patterns.of(table)
        except ElaboratePattern as error:
            raise _bad(self._where, field, error.args[0], "paths or simple patterns") from None


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
