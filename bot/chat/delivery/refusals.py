"""Refusals: what Discord's errors mean for a message that is to be shown.

Discord's own error code decides, wherever there is one: the same cause comes with several HTTP
statuses. The status decides for codes that are not listed here, and for answers without one, such
as the HTML pages of Cloudflare. Codes: docs, topics/opcodes-and-status-codes.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import aiohttp
import discord


class Refusal(Enum):
    CLOSED = auto()  # this route is gone (message deleted, token expired): try the next
    FORBIDDEN = auto()
    TOO_LARGE = auto()
    TRANSIENT = auto()  # the same call may succeed later
    BUSY = auto()  # so may this one, but not soon: try the next
    BLOCKED = auto()  # a filter of this place refuses what the message says or shows
    UNKNOWN = auto()  # for a reason that is not known here: try the next
    REJECTED = auto()  # Discord considers the message itself invalid


NO_HISTORY: Final = 160002
"""The code for a reply by someone who may not read the message history."""

_CODES: Final[Mapping[Refusal, frozenset[int]]] = {
    Refusal.CLOSED: frozenset(
        {
            10003,  # unknown channel
            10004,  # unknown guild
            10008,  # unknown message
            10012,  # unknown token
            10013,  # unknown user
            10015,  # unknown webhook
            10062,  # unknown interaction
            40043,  # the interaction failed to send
            40094,  # the interaction has had all its follow-up messages
            50005,  # a message of another user
            50021,  # a system message
            50027,  # invalid webhook token
            50033,  # invalid recipient
        }
    ),
    Refusal.FORBIDDEN: frozenset(
        {
            20009,  # explicit content to this recipient
            20012,  # not authorised for this application
            20024,  # under minimum age
            20026,  # flagged as abusive, and may not write to people
            40007,  # the user is banned here
            40058,  # a forum channel takes no messages
            40067,  # a forum post needs a tag
            50001,  # missing access
            50003,  # not in a direct message
            50007,  # this user takes no direct messages
            50008,  # not a text channel
            50009,  # the verification level is too high
            50013,  # missing permissions
            50024,  # not in a channel of this type
            50055,  # invalid guild
            50083,  # the thread is archived
            50095,  # the server is not available here
            50178,  # the account must be verified first
            50278,  # no server in common with this user
            60003,  # two-factor authentication is required
            NO_HISTORY,
            160005,  # the thread is locked
            400001,  # the server may not upload files
        }
    ),
    Refusal.TOO_LARGE: frozenset({40005, 50045}),
    Refusal.TRANSIENT: frozenset(
        {
            20016,  # slow mode
            20028,  # the channel's write limit
            20029,  # the server's write limit
            40001,  # unauthorised: concerns the bot's own token, which its owner may be replacing
            40003,  # direct messages are opened too fast
            40004,  # sending is disabled for a while
            40006,  # the feature is disabled for a while
            40062,  # the service is being rate limited
            40333,  # Cloudflare is blocking the request
            50014,  # invalid bot token, as 40001
            110001,  # the application is not available yet
            130000,  # the API is overloaded
        }
    ),
    Refusal.BUSY: frozenset(
        {
            20022,  # edits of announcements
            30046,  # edits of messages older than an hour
        }
    ),
    Refusal.BLOCKED: frozenset(
        {
            200000,  # automatic moderation: the message
            200001,  # automatic moderation: a title
            240000,  # harmful links
        }
    ),
    Refusal.REJECTED: frozenset({40060, 50006, 50035, 50046, 50109, 50110}),
}
_MEANINGS: Final = {code: meaning for meaning, codes in _CODES.items() for code in codes}


def refusal(error: Exception) -> Refusal | None:
    """What an exception from a Discord call means; None when it has another cause."""
    match error:
        case discord.HTTPException():
            return _MEANINGS.get(error.code) or _by_status(error)
        case discord.RateLimited() | aiohttp.ClientError() | OSError() | TimeoutError():
            return Refusal.TRANSIENT
        case _:
            return None


def _by_status(error: discord.HTTPException) -> Refusal:
    match error.status:
        case 413:
            return Refusal.TOO_LARGE
        case 401 | 408 | 425 | 429:
            return Refusal.TRANSIENT
        case status if status >= 500 or _is_page(error):
            return Refusal.TRANSIENT
        case 403:
            return Refusal.FORBIDDEN
        case 404:
            return Refusal.CLOSED
        case _:
            return Refusal.UNKNOWN if error.code else Refusal.REJECTED


def _is_page(error: discord.HTTPException) -> bool:
    """Whether it is text of a proxy in front of Discord, which says nothing about the message."""
    return not error.code and error.text.lstrip().lower().startswith(("<", "error code"))


def short(error: BaseException) -> str:
    """One line for the log, without the error's body, which may quote the message."""
    if isinstance(error, discord.HTTPException):
        return f"{type(error).__name__} {error.status} (code {error.code})"
    return type(error).__name__
