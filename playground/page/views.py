"""The world as one user sees it: what Discord's client knows, as JSON.

A message is as the API returns it: ``components`` with ids, and ``attachment://`` already replaced
by URLs in their media objects; ``flags``; ``attachments`` without those that a component or an
embed shows (with Components V2, flag 1 << 15, those left are not displayed at all). A channel is
``{id, name, type, nsfw, private, parent, archived, locked, can_send, guild, place, commands}``:
type 0 text, 1 DM, 2 voice, 3 group, 5 announcements, 11 thread or forum post, 13 stage, 15 forum
(which holds posts, no messages); commands: the ids of those offered there.
"""

from typing import Any

from playground import installs, payloads, permissions, threads
from playground.accounts import Account
from playground.core import Core
from playground.limits_commands import LOCALES
from playground.state import PRIVATE, Channel, ChannelType, Message

JsonObject = dict[str, Any]
SHOWN = 300
"""How many messages the page gets: the newest of all channels."""


def world(core: Core, viewer: Account, people: list[Account]) -> JsonObject:
    """Everything but the messages. people: the users that the page can act as."""
    guild = next(iter(core.world.guilds.values()))
    commands = core.world.visible_commands(guild)
    return {
        "guild": {"id": str(guild.id), "name": guild.name},
        "channels": [_channel(core, entry, viewer) for entry in _channels(core, viewer)],
        "members": [_account(m.account) for m in guild.members.values()],
        "roles": [{"id": str(r.id), "name": r.name} for r in guild.roles.values()],
        "people": [str(person.id) for person in people],
        "me": str(viewer.id),
        "locale": viewer.locale,
        "locales": _locales(commands),
        "online": core.gateway.online,
        "commands": commands,
    }


def messages(core: Core, viewer: Account) -> list[Message]:
    """The newest messages that ``viewer`` can see, oldest first."""
    seen = [
        entry
        for channel in _channels(core, viewer)
        for entry in channel.messages.values()
        if entry.viewer is None or entry.viewer is viewer
    ]
    return sorted(seen, key=lambda entry: entry.id)[-SHOWN:]


def message(core: Core, entry: Message, viewer: Account) -> JsonObject:
    """A message as the API returns it, with the reactions as ``viewer`` sees them."""
    accounts = core.world.accounts
    shown = payloads.message(entry, core.world)
    shown["reactions"] = [
        {
            "emoji": payloads.emoji(key),
            "key": key,
            "count": len(users),
            "me": viewer.id in users,
            "names": [_shown_name(accounts[number]) for number in sorted(users)],
        }
        for key, users in entry.reactions.items()
    ]
    return shown


def _channels(core: Core, viewer: Account) -> list[Channel]:
    """What ``viewer`` sees, in the order of a sidebar: threads under their channel, DMs last."""

    def place(entry: Channel) -> tuple[bool, int, int, int]:
        home = entry.guild.id if entry.guild else 0
        return entry.guild is None, home, (entry.parent or entry).id, entry.id

    seen = [entry for entry in core.world.channels.values() if _visible(entry, viewer)]
    return sorted(seen, key=place)


def _visible(channel: Channel, viewer: Account) -> bool:
    if channel.guild is None:
        return viewer in (channel.recipient, *channel.people)
    return permissions.has(viewer, channel, "view_channel")


def _refused(core: Core, command: JsonObject, place: Channel, viewer: Account) -> bool:
    if permissions.lacking(command, viewer, place):
        return True
    return installs.refusal(command, place, viewer, core.world) is not None


def _channel(core: Core, entry: Channel, viewer: Account) -> JsonObject:
    offered = core.world.visible_commands(entry.guild)
    may_send = permissions.has(viewer, entry, permissions.sending(entry))
    closed = entry.type is ChannelType.FORUM or threads.closed_to(viewer, entry)
    return {
        "id": str(entry.id),
        "name": entry.name or "Imagen",
        "type": int(entry.type),
        "nsfw": entry.age_restricted,
        "private": entry.type in PRIVATE,
        "guild": str(entry.guild.id) if entry.guild else None,
        "place": entry.guild.name if entry.guild else None,
        "commands": [c["id"] for c in offered if not _refused(core, c, entry, viewer)],
        "parent": str(entry.parent.id) if entry.parent else None,
        "archived": entry.archived,
        "locked": entry.locked,
        "can_send": may_send and not closed,
    }


def _account(account: Account) -> JsonObject:
    return {"id": str(account.id), "name": _shown_name(account), "bot": account.bot}


def _shown_name(account: Account) -> str:
    return str(payloads.user(account)["global_name"] or account.name)


def _locales(commands: list[JsonObject]) -> list[JsonObject]:
    """Discord's languages, and which of them the bot's commands are translated into."""
    translated = {"en-US"}
    for command in commands:
        translated |= set(command.get("description_localizations") or {})
        translated |= set(command.get("name_localizations") or {})
    return [{"id": name, "translated": name in translated} for name in sorted(LOCALES)]
