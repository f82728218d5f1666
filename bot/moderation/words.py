"""Words: what the owner and each server have blocked, and what of it a request has."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from bot.errors import InvalidRequest, Refused
from bot.log import here
from bot.moderation.automaton import TooComplex
from bot.moderation.owner_file import OwnerFile
from bot.moderation.texts import Checked
from bot.moderation.word_list import (
    PATTERN_STATES_MAX,
    PATTERNS_MAX,
    STATES_MAX,
    WORDS_MAX,
    Action,
    Blocked,
    EntryKind,
    WordList,
    as_typed,
    check_entry,
)
from bot.store import OWNER, BlockedWord, Detail, Store
from catalog import Catalog

log = logging.getLogger(__name__)

KEPT_MAX: Final = 200_000
"""States of all the compiled lists that are kept in memory, about 80 MB."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, of the owner's list and of the server's."""

    of_owner: tuple[Blocked, ...] = ()
    of_server: tuple[Blocked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.of_owner or self.of_server)

    def has(self, action: Action) -> bool:
        return any(entry.action == action for entry in (*self.of_owner, *self.of_server))


class Words:
    """The lists of the owner and of all servers. Compiles and searches in other threads.

    catalog: returns the current one, whose wildcards templates draw from.
    """

    def __init__(self, store: Store, catalog: Callable[[], Catalog], file: OwnerFile) -> None:
        self._store = store
        self._catalog = catalog
        self._file = file
        self._lists: OrderedDict[str, WordList] = OrderedDict()
        self._changes = 0
        self._changing = asyncio.Lock()
        # One search at a time, since others have files to save; none waits for the
        # event loop between two of them.
        self._searching = ThreadPoolExecutor(1, thread_name_prefix="words")
        self._owner: tuple[Sequence[Blocked], Sequence[Blocked], WordList] | None = None

    async def find(self, texts: Checked, community: str | None) -> Finding:
        """What of the owner's list and of that server's the texts have, or can turn out to have.

        Raises Refused if searching the server's list would take too long.
        """
        stored = await self._listed(OWNER)
        server = await self._listed(community) if community else WordList()
        search = here(partial(self._find, texts, stored, server))
        try:
            finding = await asyncio.get_running_loop().run_in_executor(self._searching, search)
        except TooComplex:
            raise Refused("words.too_complex") from None
        self._make_room()
        return finding

    async def check(self, texts: Checked, community: str | None, *, restricted: bool) -> None:
        """Raise Refused if what is to be kept has a blocked word.

        restricted: whether it may have those that are only for age-restricted channels.
        """
        finding = await self.find(texts, community)
        if finding.has("refuse"):
            raise Refused("words.refused")
        if finding.has("restrict") and not restricted:
            raise Refused("words.restricted")

    async def of(self, community: str) -> list[BlockedWord]:
        """What that server, or OWNER, has blocked by command."""
        return await self._store.words.of(community)

    async def of_file(self) -> tuple[Blocked, ...]:
        """What the owner has blocked in the file."""
        return await asyncio.to_thread(self._file.entries)

    async def add(self, community: str, entry: Blocked, by: str) -> bool:
        """Returns False if it is in the list already, with the same action.

        Raises InvalidRequest if it is no word or pattern, Refused if the list is full.
        """
        await asyncio.to_thread(check_entry, entry)
        async with self._changing:
            if community != OWNER:
                rows = await self._store.words.of(community)
                others = [_entry(row) for row in rows if (row.kind, row.text) != _key(entry)]
                await asyncio.to_thread(_check_size, [*others, entry], entry.kind)
            most = WORDS_MAX if entry.kind == "word" else PATTERNS_MAX
            added = await self._store.words.add(
                community,
                entry.text,
                kind=entry.kind,
                action=entry.action,
                by=by,
                most=most,
                act={"word": as_typed(entry), "action": entry.action, "added": True},
            )
            if added is None:
                code = "words.full_word" if entry.kind == "word" else "words.full_pattern"
                raise Refused(code, max=most)
            self.forget(community)
        return added

    async def remove(self, community: str, entry: Blocked, by: str) -> None:
        """Raises Refused if it is not blocked."""
        act: dict[str, Detail] = {"word": as_typed(entry), "added": False}
        async with self._changing:
            if not await self._store.words.remove(
                community, entry.text, kind=entry.kind, by=by, act=act
            ):
                raise Refused("words.not_listed")
            self.forget(community)

    def forget(self, community: str) -> None:
        """What that server, or OWNER, has blocked was changed in the store."""
        self._changes += 1
        self._lists.pop(community, None)

    async def _listed(self, community: str) -> WordList:
        if (known := self._lists.get(community)) is not None:
            self._lists.move_to_end(community)
            return known
        changes = self._changes
        entries = [_entry(row) for row in await self._store.words.of(community)]
        compiled = WordList()
        if entries:
            compiled = await asyncio.to_thread(_compiled, entries, bounded=community != OWNER)
        if changes == self._changes:
            self._lists[community] = compiled
        return compiled

    def _make_room(self) -> None:
        """Of all but the owner's, drop those that were not needed for longest."""
        kept = sum(words.size for words in self._lists.values())
        for community in list(self._lists):
            if kept <= KEPT_MAX:
                break
            if community != OWNER:
                kept -= self._lists.pop(community).size

    def _find(self, texts: Checked, stored: WordList, server: WordList) -> Finding:
        owner = self._with_file(stored)
        wildcards = self._catalog().wildcards
        return Finding(
            *(
                words.find(texts.texts, texts.templates, wildcards) if words else ()
                for words in (owner, server)
            )
        )

    def _with_file(self, stored: WordList) -> WordList:
        """The owner's list and file as one."""
        in_file = self._file.entries()
        if not in_file:
            return stored
        known = self._owner
        if known is None or known[0] is not stored.entries or known[1] is not in_file:
            compiled = _compiled([*stored.entries, *in_file])
            self._owner = known = (stored.entries, in_file, compiled)
        return known[2]


def _key(entry: Blocked) -> tuple[str, str]:
    return entry.kind, entry.text


def _check_size(entries: Sequence[Blocked], kind: EntryKind) -> None:
    """Raise Refused if a server's list with these, of which one of the kind is new, is too large
    to be searched for everyone who asks there."""
    words = _compiled(entries)
    if kind == "pattern" and words.pattern_states > PATTERN_STATES_MAX:
        raise Refused("words.full_places", value=words.pattern_states, max=PATTERN_STATES_MAX)
    if words.states > STATES_MAX:
        raise Refused("words.full_size", percent=100 * words.states // STATES_MAX)


def _entry(row: BlockedWord) -> Blocked:
    return Blocked(row.text, cast("EntryKind", row.kind), cast("Action", row.action))


def _compiled(entries: Sequence[Blocked], *, bounded: bool = False) -> WordList:
    """Without those that an earlier version took and this one does not."""
    try:
        return WordList(entries, bounded=bounded)
    except InvalidRequest:
        valid = []
        for entry in entries:
            try:
                check_entry(entry)
            except InvalidRequest as error:
                log.error("a blocked %s is left out (%s)", entry.kind, error.code)
            else:
                valid.append(entry)
        return WordList(valid, bounded=bounded)
