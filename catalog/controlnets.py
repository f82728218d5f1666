"""ControlNets: those of a catalog, and how users name them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from catalog.called import called
from catalog.control_types import CANNY, OTHER
from catalog.families import DEFAULT
from catalog.schema import ControlNetEntry, DepthEntry, ModelEntry, PoseEntry
from catalog.search import Index
from catalog.weight_files.controlnet import ControlNetFacts


@dataclass(frozen=True, slots=True, eq=False)
class ControlNets:
    """Every valid entry by key, in the order offered.

    Disabled entries are among them, and are never offered or suggested.
    facts: what their files say, by key, for those on this machine.
    unfit: why the files of others cannot be used, by key; these are not offered either.
    depth: what tells the depth of an image, pose: how people in it stand; None if there is nothing.
    """

    entries: Mapping[str, ControlNetEntry] = field(default_factory=dict)
    facts: Mapping[str, ControlNetFacts] = field(default_factory=dict, repr=False)
    unfit: Mapping[str, str] = field(default_factory=dict, repr=False)
    depth: DepthEntry | None = None
    pose: PoseEntry | None = None
    _offered: tuple[ControlNetEntry, ...] = field(init=False, repr=False)
    _index: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        offered = tuple(e for e in self.entries.values() if e.enabled and e.key not in self.unfit)
        object.__setattr__(self, "_offered", offered)
        object.__setattr__(self, "_index", Index((e.key, e.name) for e in offered))

    def family_of(self, key: str) -> str:
        """Key of the family whose models it is for: as its file says, where that is known."""
        if facts := self.facts.get(key):
            return facts.family
        return self.entries[key].family or DEFAULT.key

    def type_of(self, key: str) -> str:
        """What it follows where nothing else is asked for."""
        told, types = self.entries[key].told_type, self.types_of(key)
        return CANNY if told == OTHER and CANNY in types else told

    def types_of(self, key: str) -> tuple[str, ...]:
        """What it can follow: several for a union, by its file or else by its names."""
        entry, facts = self.entries[key], self.facts.get(key)
        several = facts.types if facts else entry.told_types
        return several or (entry.told_type,)

    def fits(self, key: str, model: ModelEntry) -> bool:
        """Whether it is for that model: by its family, and by the models that it is limited to.

        The demo models are so small that only what names them fits.
        """
        limited = self.entries[key].models
        named = model.key in limited if limited else not model.demo
        return named and self.family_of(key) == model.family.key

    def offered(self, *, nsfw: bool, model: ModelEntry) -> tuple[ControlNetEntry, ...]:
        """The enabled ones that fit the model, the default first. nsfw: whether to include NSFW
        ones."""
        return tuple(
            entry
            for entry in self._offered
            if (nsfw or not entry.nsfw) and self.fits(entry.key, model)
        )

    def offered_for(self, family: str, *, nsfw: bool) -> bool:
        """Whether any is offered for models of the family with that key."""
        return any(
            self.family_of(entry.key) == family and (nsfw or not entry.nsfw)
            for entry in self._offered
        )

    def find(self, name: str) -> ControlNetEntry | None:
        """The one called `name`, ignoring case, offered or not: its key, title or file's name."""
        return called(self.entries, name)

    def search(
        self, text: str, *, nsfw: bool, model: ModelEntry, limit: int = 25
    ) -> tuple[ControlNetEntry, ...]:
        """The offered ones whose key or name matches `text`, best first; memory only."""
        numbers = self._index.search(text, self._accept(nsfw, model), limit)
        return tuple(self._offered[n] for n in numbers)

    def nearest(self, text: str, n: int = 3, *, nsfw: bool, model: ModelEntry) -> tuple[str, ...]:
        """At most `n` keys that a user who typed `text` may have meant, nearest first."""
        numbers = self._index.nearest(text, self._accept(nsfw, model), n)
        return tuple(self._offered[i].key for i in numbers)

    def _accept(self, nsfw: bool, model: ModelEntry) -> Callable[[int], bool]:
        def accept(number: int) -> bool:
            entry = self._offered[number]
            return (nsfw or not entry.nsfw) and self.fits(entry.key, model)

        return accept
