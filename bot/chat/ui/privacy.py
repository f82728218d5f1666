"""What people are told about their data: what is kept, what would be forgotten, what was sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

import discord

from bot.chat.ui.actions import routed_button
from bot.chat.ui.custom_id import CustomId
from bot.store import Holdings, Span
from bot.texts.language import Say

MIB: Final = 1024**2


@dataclass(frozen=True)
class ForgetId(CustomId):
    """Forgets what the person did in a span, in ms. hand_over: 1 if presets shared with a server
    stay there."""

    prefix: ClassVar[str] = "forget"

    since: int
    until: int
    hand_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long what is kept: days, 0 for ever. gib: of images together, 0 for no limit.

    server_days: for the images of the server where it is asked. workers: whether other machines
    generate for the bot. contact: of whoever runs the bot.
    privacy_url, terms_url: of what they have published.
    """

    image_days: float
    gib: float
    history_days: int
    server_days: float = 0
    workers: bool = False
    contact: str | None = None
    privacy_url: str | None = None
    terms_url: str | None = None


def privacy_embed(say: Say, kept: Kept) -> discord.Embed:
    """What `/privacy` says."""
    intro = "privacy.intro_workers" if kept.workers else "privacy.intro"
    embed = discord.Embed(title=say("privacy.title"), description=say(intro))
    for name, lines in (
        ("privacy.name.requests", [say("privacy.requests"), _history(say, kept)]),
        ("privacy.name.images", [say("privacy.images"), *_images(say, kept)]),
        ("privacy.name.own", [say("privacy.own")]),
        ("privacy.name.short", [say("privacy.forms"), say("privacy.tokens")]),
        ("privacy.name.moderation", [say("privacy.moderation")]),
        ("privacy.name.copies", [say("privacy.backups"), say("privacy.logs")]),
        (
            "privacy.name.rights",
            [say("privacy.export"), say("privacy.forget"), say("privacy.discord")],
        ),
        ("privacy.name.who", [_who(say, kept)]),
    ):
        embed.add_field(name=say(name), value=" ".join(lines), inline=False)
    return embed


def privacy_links(say: Say, kept: Kept) -> discord.ui.View | None:
    """What the owner has published; None if nothing."""
    links = ((kept.privacy_url, "privacy.policy"), (kept.terms_url, "privacy.terms"))
    if not any(url for url, _ in links):
        return None
    view = discord.ui.View(timeout=None)
    for url, label in links:
        if url is not None:
            view.add_item(discord.ui.Button[Any](label=say(label), url=url))
    return view


def _history(say: Say, kept: Kept) -> str:
    if not kept.history_days:
        return say("privacy.until_forgotten")
    return say("privacy.history_days", count=kept.history_days)


def _images(say: Say, kept: Kept) -> list[str]:
    lines = []
    if kept.image_days:
        lines.append(say("privacy.image_days", count=kept.image_days))
    if kept.server_days and (not kept.image_days or kept.server_days < kept.image_days):
        lines.append(say("privacy.server_days", count=kept.server_days))
    if kept.gib:
        lines.append(say("privacy.gib", gib=kept.gib))
    return lines or [say("privacy.until_forgotten")]


def _who(say: Say, kept: Kept) -> str:
    if kept.contact is None:
        return say("privacy.nobody")
    return say("privacy.contact", contact=discord.utils.escape_markdown(kept.contact))


def forget_text(
    say: Say, found: Holdings, span: Span, copies_until: datetime | None, *, aside: bool
) -> str:
    """What would be forgotten, and what stays. copies_until, aside: see forgotten_text."""
    counts = {
        "forget.count.jobs": found.jobs,
        "forget.count.images": found.images,
        "forget.count.favourites": found.favourites,
        "forget.count.presets": found.presets + found.shared_presets,
        "forget.count.settings": found.settings if span.whole else 0,
        "forget.count.forms": found.forms,
        "forget.count.reports": found.reports,
        "forget.count.acts": found.acts,
    }
    gone = [say(code, count=n) for code, n in counts.items() if n]
    notes = ["forget.messages"] if found.messages else []
    notes += ["forget.waiting"] if found.waiting else []
    notes += ["forget.others"] if found.parents else []
    notes += ["forget.shared"] if found.shared_presets else []
    notes += ["forget.blocked"] if found.blocks else []
    notes += [] if span.whole else ["forget.settings_stay"]
    lines = [
        say("forget.sure"),
        *(f"- {each}" for each in gone),
        *(f"-# {say(code)}" for code in notes),
        *(f"-# {line}" for line in _copies(say, copies_until, aside=aside)),
    ]
    return "\n".join(lines)


def forget_view(say: Say, found: Holdings, span: Span) -> discord.ui.View:
    """Forgets, after a press; two ways where presets are shared with a server."""
    view = discord.ui.View(timeout=None)
    danger = discord.ButtonStyle.danger
    everything = ForgetId(span.since, span.until, 0)
    if not found.shared_presets:
        view.add_item(routed_button(say("forget.button"), everything, "🗑️", danger))
        return view
    view.add_item(routed_button(say("forget.button_all"), everything, "🗑️", danger))
    handing_over = ForgetId(span.since, span.until, 1)
    view.add_item(routed_button(say("forget.button_keep"), handing_over, "🗑️", danger))
    return view


def forgotten_text(
    say: Say,
    *,
    messages: int,
    stay: int,
    traces: bool,
    blocked: bool,
    copies_until: datetime | None,
    aside: bool,
) -> str:
    """What was forgotten. messages: that are still being deleted. stay: that others can see, and
    Discord does not let us delete. traces: whether remains are still
    to be overwritten. copies_until: when the last backup that has it is deleted. aside: whether
    there are copies that only the owner deletes."""
    lines = [say("forget.done")]
    if messages:
        lines.append(say("forget.messages_left"))
    if stay:
        lines.append(say("forget.messages_stay", count=stay))
    if traces:
        lines.append(say("forget.traces"))
    if blocked:
        lines.append(say("forget.blocked"))
    return "\n".join([*lines, *_copies(say, copies_until, aside=aside)])


def _copies(say: Say, until: datetime | None, *, aside: bool) -> list[str]:
    lines = []
    if until is not None:
        lines.append(say("forget.copies_until", when=int(until.timestamp())))
    elif not aside:
        lines.append(say("forget.no_copies"))
    return [*lines, say("forget.aside")] if aside else lines


def exported_text(
    say: Say, *, parts: int, jobs: int, sent: int, pruned: int, too_large: int, left_out: int
) -> str:
    """What an export holds, and what it does not."""
    counts = (
        ("export.holds", jobs, True),
        ("export.sent", sent, True),
        ("export.pruned", pruned, False),
        ("export.too_large", too_large, False),
        ("export.left_out", left_out, False),
    )
    lines = [say("export.done", count=parts)]
    lines += [f"- {say(code, count=n)}" for code, n, always in counts if n or always]
    return "\n".join(lines)


def readme(say: Say, *, pruned: int, too_large: int, left_out: int) -> str:
    """The text beside the rows and images of an export."""
    lines = [
        say("export.readme.about"),
        say("export.readme.jobs"),
        say("export.readme.images"),
        say("export.readme.others"),
        say("export.readme.moderation"),
        say("export.readme.lists"),
        say("export.readme.columns"),
        say("export.readme.missing"),
    ]
    for code, n in (
        ("export.pruned", pruned),
        ("export.too_large", too_large),
        ("export.left_out", left_out),
    ):
        if n:
            lines.append(say(code, count=n))
    return "\n\n".join(lines) + "\n"
