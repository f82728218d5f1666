"""Catalog: an immutable snapshot of the catalog, with the indexes to search it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, Self, TypeAlias

from catalog.aliases import Aliases, Naming, file_of
from catalog.allowance import Allowance, by_tag
from catalog.controlnets import ControlNets
from catalog.embeddings import Embeddings
from catalog.families import DEFAULT, FAMILIES, Family, or_all
from catalog.families.few_steps import are_of_few_steps
from catalog.lines import one_line
from catalog.misfit import Misfit, misfit
from catalog.schema import (
    AdapterEntry,
    DescriberEntry,
    DetectorEntry,
    ImageCheckEntry,
    ModelEntry,
    ReferenceEntry,
)
from catalog.schema.model import names_of
from catalog.search import Index
from catalog.style_index import Styles
from catalog.unfit import Unfit
from catalog.unread import Unread
from catalog.upscalers import Upscalers
from catalog.weight_files import AdapterFacts
from catalog.wildcard_index import Wildcards

NARROWED: Final = 64
"""How many ways of narrowing a catalog are kept with it."""


_Narrowing: TypeAlias = tuple[Allowance, Allowance, tuple[str, ...]]


class CatalogError(Exception):
    """The catalog cannot be read at all; the message names the file and the reason."""


class CatalogUnreadable(CatalogError):
    """It cannot be read now, but perhaps later: too many files are open, or a disk is away."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an entry is left out, or what about it the owner probably did not intend.

    file: path of the file it is in. key: of the entry, empty for the file as a whole.
    mend: how to fix it, where that does not follow from the kind of file.
    """

    file: str
    key: str
    reason: str
    mend: str = ""

    def __str__(self) -> str:
        return one_line(": ".join(filter(None, (self.file, self.key, self.reason))))


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Every valid entry by key, in the order offered, and the problems of the others.

    Disabled entries are in `models` and `adapters`, and are never offered, found or suggested; nor
    are models whose files are something else.
    default: key of an enabled model; empty if there is none.
    references: by key of a family, the IP-Adapter for reference images with its models.
    image_check: the network that judges images; detector: the one that finds what a word names in
    one; describer: the one that writes what is in one; None if there is none.
    adapter_facts: what the files of adapters say, by key, for those on this machine.
    embeddings: what prompts may name. wildcards: what prompts may draw from.
    upscalers: what enlarges images. controlnets: what makes images follow others.
    styles: words and options that presets of the owner's set.
    unfit_models: the models whose files cannot be used, by key, and what those are.
    lacking: the networks that the single file of a model has not got and that come with what
    completes it, by the model's key; see `Family.lent`.
    unread: files that are read later. What is in them is not offered until then, unless it is a
    LoRA or embedding with an entry, of which nothing else is known. files: how many there are in
    all.
    """

    models: Mapping[str, ModelEntry]
    adapters: Mapping[str, AdapterEntry]
    default: str
    problems: tuple[Problem, ...] = ()
    references: Mapping[str, ReferenceEntry] = field(default_factory=dict)
    image_check: ImageCheckEntry | None = None
    detector: DetectorEntry | None = None
    describer: DescriberEntry | None = None
    adapter_facts: Mapping[str, AdapterFacts] = field(default_factory=dict, repr=False)
    embeddings: Embeddings = field(default_factory=Embeddings)
    upscalers: Upscalers = field(default_factory=Upscalers)
    controlnets: ControlNets = field(default_factory=ControlNets)
    styles: Styles = field(default_factory=Styles, repr=False)
    unfit_models: Mapping[str, Unfit] = field(default_factory=dict)
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    unread: tuple[Unread, ...] = field(default=(), repr=False)
    files: int = 0
    wildcards: Wildcards = field(default_factory=Wildcards, repr=False)
    _misfits: Mapping[str | None, Mapping[str, Misfit]] = field(init=False, repr=False)
    _beside_demos: tuple[str, ...] = field(init=False, repr=False)
    _models: tuple[ModelEntry, ...] = field(init=False, repr=False)
    _adapters: tuple[AdapterEntry, ...] = field(init=False, repr=False)
    _model_numbers: Mapping[str, int] = field(init=False, repr=False)
    _adapter_numbers: Mapping[str, int] = field(init=False, repr=False)
    _model_index: Index = field(init=False, repr=False)
    _adapter_index: Index = field(init=False, repr=False)
    _model_aliases: Aliases = field(init=False, repr=False)
    _adapter_aliases: Aliases = field(init=False, repr=False)
    _model_tags: Mapping[str, frozenset[str]] = field(init=False, repr=False)
    _adapter_tags: Mapping[str, frozenset[str]] = field(init=False, repr=False)
    _first: tuple[str, ...] = field(init=False, repr=False)
    _narrowed: "dict[_Narrowing, Catalog]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        models = sorted(
            (m for m in self.models.values() if m.enabled and m.key not in self.unfit_models),
            key=lambda m: m.key != self.default,
        )
        adapters = [a for a in self.adapters.values() if a.enabled]
        known = {each.key: each for each in FAMILIES.values()}
        known |= {model.family.key: model.family for model in self.models.values()}
        misfits: dict[str | None, dict[str, Misfit]] = {
            None: self._unfit(or_all(model.family for model in models)),
            **{family.key: self._unfit([family]) for family in known.values()},
        }
        object.__setattr__(self, "_misfits", misfits)
        beside = tuple(m.key for m in models if not m.demo)
        demos = len(beside) < len(models)
        object.__setattr__(self, "_beside_demos", beside if demos else ())
        object.__setattr__(self, "_models", tuple(models))
        object.__setattr__(self, "_adapters", tuple(adapters))
        object.__setattr__(self, "_model_numbers", {m.key: n for n, m in enumerate(models)})
        object.__setattr__(self, "_adapter_numbers", {a.key: n for n, a in enumerate(adapters)})
        object.__setattr__(self, "_model_index", Index((m.key, m.name) for m in models))
        object.__setattr__(self, "_adapter_index", Index((a.key, a.name) for a in adapters))
        object.__setattr__(self, "_model_aliases", Aliases(map(_naming, self.models.values())))
        object.__setattr__(
            self,
            "_adapter_aliases",
            Aliases(_naming(a, self.facts(a.key)) for a in self.adapters.values()),
        )
        for name, entries in (("_model_tags", self.models), ("_adapter_tags", self.adapters)):
            object.__setattr__(self, name, by_tag((e.key, e.tags) for e in entries.values()))
        object.__setattr__(self, "_first", (self.default,))
        object.__setattr__(self, "_narrowed", {})

    def narrowed(
        self, models: Allowance, adapters: Allowance, first: tuple[str, ...] = ()
    ) -> "Catalog":
        """The catalog as where only the models and adapters that these hold may be used.

        The others are not in it: they are neither offered nor found nor suggested, and `withholds…`
        knows their names. first: keys of the models that are rather the default, the best first.
        Searches share the indexes of this catalog, so it takes a few milliseconds for 10,000
        adapters, and is kept for the next time.
        """
        if models.everything and adapters.everything and not first:
            return self
        asked = (models, adapters, first)
        if (kept := self._narrowed.get(asked)) is not None:
            return kept
        if first:
            # It shares its entries: people have many defaults, but places few lists.
            narrowed = self.narrowed(models, adapters)
        else:
            narrowed = self._with(
                models=models.left_of(self.models, self._model_tags),
                adapters=adapters.left_of(self.adapters, self._adapter_tags),
            )
        made = narrowed.beginning(first)
        if len(self._narrowed) >= NARROWED:
            self._narrowed.pop(next(iter(self._narrowed)), None)
        self._narrowed[asked] = made
        return made

    def beginning(self, first: tuple[str, ...]) -> Self:
        """The same with the first of these models, or else of the others, as the default."""
        order = (*first, *self._first)
        default = next((model.key for model in self._in_order(self.models, order)), "")
        return self._with(default=default, _first=order, _narrowed={})

    def _with(self, **changes: object) -> Self:
        """A copy of this catalog with these fields instead, and with its indexes."""
        copy = object.__new__(type(self))
        for own in fields(self):
            object.__setattr__(copy, own.name, changes.get(own.name, getattr(self, own.name)))
        return copy

    def withholds_model(self, name: str) -> bool:
        """Whether `name` means only models that were left out when this catalog was narrowed."""
        return bool(self._model_aliases.find(name)) and not self.models_called(name)

    def withholds_adapter(self, name: str) -> bool:
        """The same for adapters."""
        return bool(self._adapter_aliases.find(name)) and not self.adapters_called(name)

    def _unfit(self, families: Collection[Family]) -> dict[str, Misfit]:
        """The adapters that fit no model of these families, by key, and why."""
        judged = (
            (key, misfit(facts, families, vouched=bool(self.adapters[key].models)))
            for key, facts in self.adapter_facts.items()
        )
        return {key: why for key, why in judged if why}

    @property
    def files_read(self) -> int:
        """How many of `files` have been read; all of them when nothing is unread."""
        return max(0, self.files - len(self.unread))

    def facts(self, key: str) -> AdapterFacts | None:
        """What the adapter's file says; None if it is not on this machine or broken."""
        return self.adapter_facts.get(key)

    def models_called(self, name: str) -> tuple[str, ...]:
        """Keys of the models, offered or not, that the name may mean: key, name or file name."""
        return tuple(key for key in self._model_aliases.find(name) if key in self.models)

    def adapters_called(self, name: str) -> tuple[str, ...]:
        """The same for adapters. Memory only."""
        return tuple(key for key in self._adapter_aliases.find(name) if key in self.adapters)

    def kept_to(self, key: str) -> tuple[str, ...]:
        """Keys of the models that the adapter is limited to; empty if it is for all of them.

        The demo models are so small that only adapters that name them fit.
        """
        return self.adapters[key].models or self._beside_demos

    def misfit(self, key: str, model: str | None = None) -> Misfit | None:
        """Why the adapter fits no model of the families here; None if it fits one.

        model: key of a model, to check that one's family, and whether it is limited to others.
        """
        entry = self.models.get(model or "")
        family = None if entry is None else entry.family.key
        if (why := self._misfits[family].get(key)) or model is None:
            return why
        allowed = self.kept_to(key)
        if not allowed or model in allowed:
            return None
        return Misfit("models", ", ".join(allowed), tuple(allowed))

    def quickens(self, key: str) -> bool:
        """Whether the adapter makes a model one for few steps, by its names or the preset "fast" of
        a model; False when it is gone."""
        if (entry := self.adapters.get(key)) is None:
            return False
        facts = self.facts(key) or AdapterFacts()
        names = (entry.name, *names_of(entry.path, entry.weight_name), facts.title)
        return are_of_few_steps((key, *names, facts.output_name)) or any(
            model.fast is not None and model.fast.adapter == key for model in self.models.values()
        )

    def family_of(self, model: str) -> Family:
        """The family of the model with that key; the usual one when it is gone."""
        entry = self.models.get(model)
        return entry.family if entry else DEFAULT

    def takes_negative(self, model: str) -> bool:
        """Whether negative prompts work with the model with that key; True when it is gone."""
        entry = self.models.get(model)
        return entry is None or entry.takes_negative

    def reference_for(self, model: str) -> ReferenceEntry | None:
        """The IP-Adapter for the model with that key; None if there is none."""
        return self.references.get(self.family_of(model).key)

    def offered_models(self, *, nsfw: bool) -> tuple[ModelEntry, ...]:
        """The enabled models, the default one first. nsfw: whether to include NSFW ones."""
        offered = self._in_order(self.models, self._first)
        return tuple(model for model in offered if nsfw or not model.nsfw)

    def _in_order(self, left: Collection[str], first: tuple[str, ...]) -> list[ModelEntry]:
        """The enabled models among those `left`, with those of `first` at the front."""
        ranks = {key: rank for rank, key in reversed([*enumerate(first)])}
        offered = (model for model in self._models if model.key in left)
        return sorted(offered, key=lambda model: ranks.get(model.key, len(first)))

    def refused_models(self, *, nsfw: bool) -> tuple[ModelEntry, ...]:
        """The enabled models whose files cannot be used."""
        return tuple(
            m
            for m in self.models.values()
            if m.enabled and m.key in self.unfit_models and (nsfw or not m.nsfw)
        )

    def offered_adapters(self, *, nsfw: bool, model: str | None = None) -> tuple[AdapterEntry, ...]:
        """The enabled adapters. model: only those that fit the model of this key."""
        accept = self._accept_adapter(nsfw, model, ())
        return tuple(a for number, a in enumerate(self._adapters) if accept(number))

    def search_models(
        self, text: str, *, nsfw: bool, limit: int = 25, first: Sequence[str] = ()
    ) -> tuple[ModelEntry, ...]:
        """The offered models whose key or name matches `text`, best first; memory only.

        first: keys that come before others which match as well, in this order.
        """
        preferred = _numbers(self._model_numbers, first)
        numbers = self._model_index.search(text, self._accept_model(nsfw), limit, preferred)
        return tuple(self._models[n] for n in numbers)

    def search_adapters(
        self,
        text: str,
        *,
        nsfw: bool,
        model: str | None = None,
        exclude: Collection[str] = (),
        limit: int = 25,
        first: Sequence[str] = (),
    ) -> tuple[AdapterEntry, ...]:
        """The offered adapters whose key or name matches `text`, best first; memory only.

        exclude: keys to leave out, such as those chosen already. first: as for `search_models`.
        """
        accept = self._accept_adapter(nsfw, model, exclude)
        preferred = _numbers(self._adapter_numbers, first)
        numbers = self._adapter_index.search(text, accept, limit, preferred)
        return tuple(self._adapters[n] for n in numbers)

    def search_misfits(
        self,
        text: str,
        *,
        nsfw: bool,
        model: str | None = None,
        exclude: Collection[str] = (),
        limit: int = 25,
    ) -> tuple[AdapterEntry, ...]:
        """As `search_adapters`, for adapters that do not fit the model, or any if it is None."""
        offered = self._accept_adapter(nsfw, None, exclude)
        numbers = self._adapter_index.search(
            text, lambda n: offered(n) and bool(self.misfit(self._adapters[n].key, model)), limit
        )
        return tuple(self._adapters[n] for n in numbers)

    def nearest_models(self, text: str, n: int = 3, *, nsfw: bool = False) -> tuple[str, ...]:
        """At most `n` keys that a user who typed `text` may have meant, nearest first."""
        numbers = self._model_index.nearest(text, self._accept_model(nsfw), n)
        return tuple(self._models[i].key for i in numbers)

    def nearest_adapters(
        self, text: str, n: int = 3, *, nsfw: bool = False, model: str | None = None
    ) -> tuple[str, ...]:
        """At most `n` keys that a user who typed `text` may have meant, nearest first."""
        accept = self._accept_adapter(nsfw, model, ())
        numbers = self._adapter_index.nearest(text, accept, n)
        return tuple(self._adapters[i].key for i in numbers)

    def _accept_model(self, nsfw: bool) -> Callable[[int], bool]:
        def accept(number: int) -> bool:
            entry = self._models[number]
            return entry.key in self.models and (nsfw or not entry.nsfw)

        return accept

    def _accept_adapter(
        self, nsfw: bool, model: str | None, exclude: Collection[str]
    ) -> Callable[[int], bool]:
        def accept(number: int) -> bool:
            entry = self._adapters[number]
            return (
                entry.key in self.adapters
                and (nsfw or not entry.nsfw)
                and (model is None or self.misfit(entry.key, model) is None)
                and entry.key not in exclude
            )

        return accept


def _numbers(known: Mapping[str, int], keys: Sequence[str]) -> list[int]:
    return [known[key] for key in keys if key in known]


def _naming(entry: ModelEntry | AdapterEntry, facts: AdapterFacts | None = None) -> Naming:
    file = file_of(entry.path, entry.weight_name)
    return Naming(entry.key, entry.name, file, facts.output_name if facts else "")
