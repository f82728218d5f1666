"""Archived and locked threads: https://docs.discord.com/developers/topics/threads.

Sending a message opens an archived thread again; nothing else can be done to its messages. In a
locked one, only those who may manage threads can write. Of an interaction, Discord says of both
that the thread is archived: https://github.com/discord/discord-api-docs/issues/6884.
"""

from playground import payloads, permissions
from playground.accounts import Account
from playground.core import Core
from playground.errors import ApiError
from playground.state import Channel

ARCHIVED, LOCKED = 50083, 160005


def closed_to(account: Account, channel: Channel) -> bool:
    """Whether ``account`` cannot write there because the thread is locked."""
    return channel.locked and not permissions.has(account, channel, "manage_threads")


def set_state(core: Core, thread: Channel, *, archived: bool, locked: bool) -> None:
    """Archive, lock or open a thread and notify the bot of a change."""
    if (thread.archived, thread.locked) == (archived, locked):
        return
    thread.archived, thread.locked = archived, locked
    shown = payloads.channel(thread)
    core.gateway.emit("THREAD_UPDATE", shown, guild=thread.guild, intent=1, channel=thread)


def enter(core: Core, account: Account, channel: Channel) -> None:
    """Open an archived thread because ``account`` writes there. Raises 403/160005 if locked."""
    if closed_to(account, channel):
        raise ApiError(403, LOCKED, "Thread is locked", expected=True)
    if channel.archived:
        set_state(core, channel, archived=False, locked=channel.locked)


def answer(core: Core, account: Account, channel: Channel) -> None:
    """As ``enter``, for a public response to an interaction. Raises 403/50083 if locked."""
    if closed_to(account, channel):
        raise ApiError(403, ARCHIVED, "Thread is archived", expected=True)
    enter(core, account, channel)


def require_answerable(account: Account, channel: Channel) -> None:
    """For editing a public response. Raises 403/50083 if archived or locked."""
    if channel.archived or closed_to(account, channel):
        raise ApiError(403, ARCHIVED, "Thread is archived", expected=True)


def require_open(account: Account, channel: Channel) -> None:
    """For editing a message. Raises 400/50083 if archived, 403/160005 if locked."""
    require_active(channel)
    if closed_to(account, channel):
        raise ApiError(403, LOCKED, "Thread is locked", expected=True)


def require_active(channel: Channel) -> None:
    """For reactions. Raises 400/50083 if the thread is archived."""
    if channel.archived:
        raise ApiError(400, ARCHIVED, "Thread is archived", expected=True)


def require_deletable(account: Account, channel: Channel) -> None:
    """For deleting a message. Raises 400/50083 if the thread is both archived and locked."""
    if channel.archived and closed_to(account, channel):
        raise ApiError(400, ARCHIVED, "Thread is archived", expected=True)
