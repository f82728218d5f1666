"""How acts read in the audit channel, and reports there with their buttons."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final, cast

import discord

from bot.chat.ui.actions import routed_button
from bot.chat.ui.admin import entry_name
from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.markdown import CONTENT_MAX, code, codes, cut_off, shown
from bot.store import Act, ActKind, Decision, Discord, Job, Report
from bot.texts.language import Say
from catalog import Catalog, EntryKind

REASON_SHOWN: Final = 1_000
DETAILS_ROOM: Final = 800
_PERSON: Final = re.compile(r"discord:([0-9]+)")
UNSET: Final = "–"
HIDDEN: Final = "…"
"""Stands for a value that names what is only for age-restricted channels."""


@dataclass(frozen=True)
class DecideId(CustomId):
    """Decides a report."""

    prefix: ClassVar[str] = "decide"

    report_id: str
    decision: Decision


def act_line(say: Say, act: Act, catalog: Catalog) -> str:
    """What was done, by whom and to whom. catalog: with the names that may not stand in it."""
    text = say(
        f"acts.{act.kind}",
        actor=person(say, act.actor),
        subject=_subject(say, act, catalog),
        owner=person(say, str(act.details.get("owner", ""))),
        details=_details(act, catalog),
    )
    return cut_off(text, CONTENT_MAX)


def person(say: Say, who: str) -> str:
    """A mention of a person as of a job, which pings nobody unless it is allowed to.

    who: '' for one who was forgotten.
    """
    if not who:
        return say("acts.forgotten")
    found = _PERSON.fullmatch(who)
    return f"<@{found[1]}>" if found else say("acts.bot")


def maintenance(say: Say, text: str) -> str:
    """A note of the owner to every server."""
    return cut_off(f"{say('acts.maintenance')}\n{text}", CONTENT_MAX)


def report_text(say: Say, report: Report, job: Job, shown_at: Discord | None = None) -> str:
    """Who reported what, why, and what was decided. shown_at: where it was seen, if that is not
    where it was asked for."""
    origin = shown_at or Discord.of(job.origin)
    place = f"https://discord.com/channels/{origin.guild_id or '@me'}/{origin.channel_id}"
    text = say(
        "report.text",
        user=person(say, report.reporter),
        owner=person(say, job.person),
        job=job.id,
        link=f"{place}/{origin.message_id}" if origin.message_id else place,
        reason=shown(report.reason, REASON_SHOWN),
    )
    if report.decision is not None:
        text = f"{decided(say, report)}\n{text}"
    return cut_off(text, CONTENT_MAX)


def decided(say: Say, report: Report) -> str:
    """What became of a report that is decided."""
    code = "still_shown" if report.shown else report.decision
    return say(f"report.decided.{code}", user=person(say, report.decided_by or ""))


def number_of(who: str) -> str:
    """The ID of a person as of a job."""
    return who.rpartition(":")[2]


def report_view(say: Say, report: Report) -> discord.ui.View | None:
    """The buttons that decide an open report. The image of someone who was blocked for it can still
    be deleted; None for one that is decided otherwise."""
    if report.decision not in (None, Decision.BLOCKED):
        return None
    view = discord.ui.View(timeout=None)
    for decision, emoji, style in (
        (Decision.DELETED, "🗑️", discord.ButtonStyle.danger),
        (Decision.BLOCKED, "🚫", discord.ButtonStyle.danger),
        (Decision.DISMISSED, "✔️", discord.ButtonStyle.secondary),
    ):
        if report.decision is not None and decision is not Decision.DELETED:
            continue
        custom_id = DecideId(report.id, decision)
        view.add_item(routed_button(say(f"report.button.{decision}"), custom_id, emoji, style))
    return view


def _subject(say: Say, act: Act, catalog: Catalog) -> str:
    if act.kind in (ActKind.ENTRY_ENABLED, ActKind.ENTRY_DISABLED):
        kind = cast("EntryKind", act.details.get("what"))
        return entry_name(say, catalog, kind, act.subject or "", nsfw=False)
    if act.subject == "":
        return person(say, act.subject)
    if act.subject is None:
        return ""
    if act.details.get("what") != "server" and _PERSON.fullmatch(act.subject):
        return person(say, act.subject)
    name = str(act.details.get("name") or act.subject.removeprefix("discord:"))
    if act.kind in (ActKind.PRESET_SHARED, ActKind.PRESET_DELETED):
        name = HIDDEN if _names_any(name, _gated(catalog)) else name
    return code(name)


def _details(act: Act, catalog: Catalog) -> str:
    gated = _gated(catalog)
    known = {
        name: HIDDEN if _names_any(str(value), gated) else str(value)
        for name, value in act.details.items()
    }
    if act.kind is not ActKind.SETTING_CHANGED:
        return codes((f"{name}: {value}" for name, value in known.items()), DETAILS_ROOM)
    change = f"{known.get('before', UNSET)} → {known.get('after', UNSET)}"
    where = f" (<#{number_of(act.subject or '')}>)" if known.get("level") == "channel" else ""
    return f"{code(known.get('name', ''))} {code(change)}{where}"


def _gated(catalog: Catalog) -> frozenset[str]:
    """Names that may not stand where it is not age-restricted, folded."""
    entries = (
        *catalog.models.values(),
        *catalog.adapters.values(),
        *catalog.embeddings.entries.values(),
        *catalog.upscalers.entries.values(),
        *catalog.controlnets.entries.values(),
    )
    return frozenset(
        name.casefold() for entry in entries if entry.nsfw for name in (entry.key, entry.name)
    )


def _names_any(text: str, names: frozenset[str]) -> bool:
    return any(name in text.casefold() for name in names)
