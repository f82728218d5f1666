"""The users, roles and channels that an interaction names, as its ``resolved`` and its context do:
https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object-resolved-data-structure.
"""

from typing import Any

from playground import payloads, permissions
from playground.accounts import Account, Member, Role
from playground.state import Channel

JsonObject = dict[str, Any]


def member(entry: Member, where: Channel) -> JsonObject:
    """The member of an interaction, with the permissions there."""
    return payloads.member(entry) | {"permissions": str(permissions.of(entry.account, where))}


def channel(entry: Channel, who: Account) -> JsonObject:
    """The partial channel of an interaction."""
    answer = payloads.channel(entry)
    answer.pop("permission_overwrites", None)
    if entry.guild is not None:
        answer["permissions"] = str(permissions.of(who, entry))
    return answer


def add(resolved: JsonObject, value: Account | Role | Channel, where: Channel, who: Account) -> str:
    """Add what ``who`` chose in ``where`` to the ``resolved`` of an interaction; returns its id."""
    number = str(value.id)
    if isinstance(value, Account):
        resolved.setdefault("users", {})[number] = payloads.user(value)
        if where.guild is not None and value.id in where.guild.members:
            partial = member(where.guild.members[value.id], where)
            kept = {k: v for k, v in partial.items() if k not in ("user", "deaf", "mute")}
            resolved.setdefault("members", {})[number] = kept
    elif isinstance(value, Role):
        resolved.setdefault("roles", {})[number] = payloads.role(value)
    else:
        resolved.setdefault("channels", {})[number] = channel(value, who)
    return number
