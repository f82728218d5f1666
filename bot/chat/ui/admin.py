"""What the owner is told by /admin."""

from collections.abc import Collection, Sequence
from typing import Final

from bot.chat.ui.markdown import code, codes, cut_off
from bot.texts.language import Say
from catalog import Catalog, CatalogChanges, EntryKind, entries_of

CONTENT_MAX: Final = 2_000
"""Characters of a message."""
PROBLEMS_SHOWN: Final = 10
NAMES_ROOM: Final = 500
"""Characters for the names in one line."""


def may_be_named(catalog: Catalog, kind: EntryKind, key: str, *, nsfw: bool) -> bool:
    """Whether the entry's name may stand where it is not age-restricted, unless `nsfw`."""
    entry = entries_of(catalog, kind).get(key)
    return entry is not None and (nsfw or not entry.nsfw)


def entry_name(say: Say, catalog: Catalog, kind: EntryKind, key: str, *, nsfw: bool) -> str:
    """What an entry is called; without its name where that may not stand."""
    what = say(f"admin.kind.{kind}")
    if not may_be_named(catalog, kind, key, nsfw=nsfw):
        return say("admin.unnamed", what=what)
    return f"{what} {code(key)}"


def reloaded(
    say: Say, found: CatalogChanges, before: Catalog, after: Catalog, *, nsfw: bool
) -> str:
    """What has changed in the catalog, and the problems of all that is in it."""
    lines = [
        *_changed(say, "added", found.added, after, nsfw=nsfw),
        *_changed(say, "removed", found.removed, before, nsfw=nsfw),
        *_changed(say, "changed", found.changed, after, nsfw=nsfw),
    ]
    if not lines:
        lines = [say("admin.reload.same")]
    if after.problems:
        lines.append(say("admin.reload.problems", count=len(after.problems)))
        lines += [f"- {code(str(problem))}" for problem in after.problems[:PROBLEMS_SHOWN]]
    return cut_off("\n".join(lines), CONTENT_MAX)


def _changed(
    say: Say,
    how: str,
    entries: Sequence[tuple[EntryKind, str]],
    catalog: Catalog,
    *,
    nsfw: bool,
) -> list[str]:
    if not entries:
        return []
    named = [key for kind, key in entries if may_be_named(catalog, kind, key, nsfw=nsfw)]
    names = codes(named, NAMES_ROOM) if named else say("admin.reload.unnamed")
    return [say(f"admin.reload.{how}", count=len(entries), names=names)]


def switched_off(
    say: Say, off: Collection[tuple[EntryKind, str]], catalog: Catalog, *, nsfw: bool
) -> str:
    """The entries that are switched off."""
    if not off:
        return say("admin.entry.none")
    lines = [f"- {entry_name(say, catalog, kind, key, nsfw=nsfw)}" for kind, key in sorted(off)]
    return cut_off("\n".join([say("admin.entry.off"), *lines]), CONTENT_MAX)
