"""Levels: what holds in a place, resolved from what each level has set, and changing that."""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pydantic import ValidationError

from bot.levels.fields import ChannelFields, LevelFields, PersonFields, ServerFields
from bot.levels.level import Level
from bot.levels.place import Place
from bot.levels.resolving import everywhere, resolve
from bot.levels.rules import Caps, Rules
from bot.levels.showing import SeenFrom
from bot.store import Discord, LevelChange, LevelKey, Origin, Store
from catalog import Allowance

log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""For how many servers, channels and people it is kept in memory what they have set."""
TEXTS: Final = frozenset({"negative", "forced_negative"})
"""Fields with prompts, which are kept nowhere else."""
FIELDS: Final[Mapping[Level, type[LevelFields]]] = {
    Level.SERVER: ServerFields,
    Level.CHANNEL: ChannelFields,
    Level.PERSON: PersonFields,
}


class Levels:
    """Reads and changes what the levels have set.

    caps: what the owner has set.
    """

    def __init__(self, store: Store, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self._store = store
        self._kept: OrderedDict[LevelKey, LevelFields] = OrderedDict()
        self._changes = 0
        self._everywhere: Allowance | None = None

    async def rules(self, place: Place) -> Rules:
        """What holds for that person in that place: from memory, or else with one query."""
        keys = {level: key_of(level, place) for level in FIELDS}
        fields = await self._fields([key for key in keys.values() if key])
        return resolve(
            self.caps,
            cast("ServerFields", _of(fields, keys, Level.SERVER)),
            cast("ChannelFields", _of(fields, keys, Level.CHANNEL)),
            cast("PersonFields", _of(fields, keys, Level.PERSON)),
            place,
        )

    async def rules_of(self, origin: Origin, roles: frozenset[int] = frozenset()) -> Rules:
        """What holds for a job from there; elsewhere than on Discord, what the owner has set."""
        if not isinstance(origin, Discord):
            return resolve(self.caps)
        return await self.rules(
            Place(
                person=origin.person,
                community=origin.community,
                channel_id=origin.setting_channel,
                roles=roles,
            )
        )

    async def seen_from(self, level: Level, place: Place) -> SeenFrom:
        """What holds at `level`, and what it and those above it have set.

        Raises ValueError if `place` has no such level.
        """
        _known_key(level, place)
        order = [*FIELDS]
        above = order[: order.index(level) + 1]
        keys = {each: key_of(each, place) if each in above else None for each in order}
        fields = await self._fields([key for key in keys.values() if key])
        given = {each: _of(fields, keys, each) for each in order}
        rules = resolve(
            self.caps,
            cast("ServerFields", given[Level.SERVER]),
            cast("ChannelFields", given[Level.CHANNEL]),
            cast("PersonFields", given[Level.PERSON]),
            place,
        )
        return SeenFrom(level, rules, {each: given[each] for each in above}, self.caps)

    async def models_everywhere(self) -> Allowance:
        """The models that every server and every channel allows: what may be named to all."""
        if self._everywhere is None:
            changes = self._changes
            stored = await self._store.levels.listing(("allow_models", "block_models"))
            fields = [cast("ChannelFields", _read(key, each)) for key, each in stored.items()]
            found = everywhere(fields)
            if changes != self._changes:
                return found  # a change may have come after it was read
            self._everywhere = found
        return self._everywhere

    async def change(self, level: Level, place: Place, changes: Mapping[str, Any]) -> LevelChange:
        """Set these fields of `level`, and reset those that are None or empty; `place.person` does.

        An act is recorded for each; it says no one's texts, and nothing that a person has set for
        themselves. Raises ValueError if `place` has no such level, or a value is not valid; see
        bot.levels.entering for what people enter.
        """
        key = _known_key(level, place)
        given = {name: value for name, value in changes.items() if value not in (None, ())}
        valid = FIELDS[level](**given).model_dump(mode="json", include=set(given))
        community = None if level is Level.PERSON else place.community
        written = dict.fromkeys(changes) | valid
        unsaid = written if level is Level.PERSON else TEXTS
        change = await self._store.levels.change(key, community, written, place.person, unsaid)
        self._changes += 1
        self._everywhere = None
        self._keep(key, _read(key, change.after))
        return change

    async def forget(self, level: Level, place: Place) -> None:
        """Reset everything that `level` has set there.

        Raises ValueError if `place` has no such level.
        """
        key = _known_key(level, place)
        await self._store.levels.forget(key)
        self.forgotten(key)

    def forgotten(self, key: LevelKey) -> None:
        """What was set there has been deleted from the store."""
        self._changes += 1
        self._everywhere = None
        self._kept.pop(key, None)

    async def _fields(self, keys: Sequence[LevelKey]) -> dict[LevelKey, LevelFields]:
        found = {key: self._kept[key] for key in keys if key in self._kept}
        for key in found:
            self._kept.move_to_end(key)
        missing = [key for key in keys if key not in found]
        if missing:
            changes = self._changes
            stored = await self._store.levels.of(missing)
            read = {key: _read(key, stored.get(key, {})) for key in missing}
            if changes != self._changes:
                # What was changed meanwhile may have been read before that.
                read |= {key: self._kept[key] for key in missing if key in self._kept}
            else:
                for key, fields in read.items():
                    self._keep(key, fields)
            found |= read
        return found

    def _keep(self, key: LevelKey, fields: LevelFields) -> None:
        self._kept[key] = fields
        self._kept.move_to_end(key)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)


def key_of(level: Level, place: Place) -> LevelKey | None:
    """Where in the store it is what `level` has set; None if `place` has no such level."""
    match level:
        case Level.SERVER:
            which = place.community
        case Level.CHANNEL:
            which = None if place.channel_id is None else f"{Discord.name}:{place.channel_id}"
        case _:
            which = place.person
    return None if which is None else (level.value, which)


def _known_key(level: Level, place: Place) -> LevelKey:
    key = key_of(level, place) if level in FIELDS else None
    if key is None:
        raise ValueError(f"{level}: not a level of {place}")
    return key


def _of(
    fields: Mapping[LevelKey, LevelFields], keys: Mapping[Level, LevelKey | None], level: Level
) -> LevelFields:
    key = keys[level]
    return FIELDS[level]() if key is None else fields[key]


def _read(key: LevelKey, stored: Mapping[str, Any]) -> LevelFields:
    """What is stored, without what is not valid: that is logged, and must not stop the bot."""
    fields = FIELDS[Level(key[0])]
    try:
        return fields(**stored)
    except ValidationError as error:
        wrong = {str(each["loc"][0]) for each in error.errors()}
        log.error("settings of %s %s: not valid, so not used: %s", *key, ", ".join(sorted(wrong)))
        return fields(**{name: value for name, value in stored.items() if name not in wrong})
