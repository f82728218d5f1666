"""A stand-in for Discord on loopback.

The unmodified bot process logs in here over real HTTP and WebSocket; tests use it as users use
Discord. It is the other side of the wire and knows nothing about the bot's code.
"""

from playground.accounts import Role, TeamMember
from playground.core import Request
from playground.errors import ClientRefused, NotAcknowledged
from playground.interactions import Interaction
from playground.options import File
from playground.page import Page, furnish
from playground.server import Playground
from playground.state import Attachment, Channel, Guild, Message, Snapshot
from playground.user import Choice, User

__all__ = [
    "Attachment",
    "Channel",
    "Choice",
    "ClientRefused",
    "File",
    "Guild",
    "Interaction",
    "Message",
    "NotAcknowledged",
    "Page",
    "Playground",
    "Request",
    "Role",
    "Snapshot",
    "TeamMember",
    "User",
    "furnish",
]
