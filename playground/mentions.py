"""Whom a message actually pings: https://docs.discord.com/developers/resources/message#allowed-mentions-object."""

import re
from dataclasses import dataclass
from typing import Any

from playground.accounts import Account
from playground.state import Channel

JsonObject = dict[str, Any]
CODE = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.DOTALL)
USER = re.compile(r"<@!?(\d+)>")
ROLE = re.compile(r"<@&(\d+)>")
EVERYONE = re.compile(r"@(everyone|here)\b")


@dataclass(frozen=True)
class Pings:
    """The ids that a message pings: users, roles, and the guild's for everyone."""

    ids: frozenset[int]
    everyone: bool


def pinged(
    text: str,
    allowed: JsonObject | None,
    channel: Channel,
    replied: Account | None,
    may_mention_everyone: bool,
) -> Pings:
    """Work out whom the visible text of a message pings under its ``allowed_mentions``.

    Without ``allowed_mentions``, every mention in the text pings, and so does a reply. With it,
    only what it lists does; text inside code never does.
    """
    rules: JsonObject = {"parse": ["users", "roles", "everyone"], "replied_user": True}
    if allowed is not None:
        rules = allowed
    parse: list[str] = rules.get("parse") or []
    visible = CODE.sub(" ", text)
    ids: set[int] = set()
    guild = channel.guild
    for match in USER.finditer(visible):
        account_id = int(match[1])
        known = guild is None or account_id in guild.members
        if known and _allowed("users", account_id, parse, rules):
            ids.add(account_id)
    everyone = False
    if guild is not None:
        for match in ROLE.finditer(visible):
            role = guild.roles.get(int(match[1]))
            pingable = role is not None and (role.mentionable or may_mention_everyone)
            if role is not None and pingable and _allowed("roles", role.id, parse, rules):
                ids.add(role.id)
        if EVERYONE.search(visible) and "everyone" in parse and may_mention_everyone:
            everyone = True
            ids.add(guild.id)
    if replied is not None and rules.get("replied_user"):
        ids.add(replied.id)
    return Pings(frozenset(ids), everyone)


def _allowed(kind: str, identifier: int, parse: list[str], rules: JsonObject) -> bool:
    return kind in parse or identifier in {int(i) for i in rules.get(kind) or []}
