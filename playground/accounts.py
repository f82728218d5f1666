"""Accounts, and what they are in a guild: members with roles. Plain data."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class Account:
    """A user or the bot. ``installed``: whether the user has installed the app for themselves."""

    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    takes_direct_messages: bool = True
    installed: bool = False

    def __repr__(self) -> str:
        return f"<{'bot' if self.bot else 'user'} {self.name} {self.id}>"


@dataclass(eq=False)
class Role:
    """A role of a guild; the one with the guild's own id is @everyone."""

    id: int
    name: str
    permissions: int
    position: int = 0
    mentionable: bool = False


@dataclass(eq=False)
class Overwrite:
    """What a channel denies or grants to a role (type 0) or a member (type 1)."""

    id: int
    type: int
    allow: int = 0
    deny: int = 0


@dataclass(eq=False)
class Member:
    """An account in a guild."""

    account: Account
    joined_at: float
    role_ids: list[int] = field(default_factory=list)
    nick: str | None = None
    timed_out_until: float | None = None


@dataclass(eq=False)
class TeamMember:
    """Somebody in the team that owns the application: ``admin``, ``developer`` or ``read_only``.

    ``accepted``: whether they have accepted the invitation.
    """

    account: Account
    role: str = "admin"
    accepted: bool = True
