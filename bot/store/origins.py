"""Where a job was asked for, and where its answer goes.

The queue needs three things from an origin: who asked (`person`), in which server (`community`),
and its name. Everything else is specific to the origin and kept in its own table, one row per job.
To add an origin, add a class here, list it in `ORIGINS`, and create its table in a migration.
"""

import logging
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

from bot.errors import AskedBefore, Refused
from bot.settings.image_check import ImageCheck
from bot.store.database import Row

log = logging.getLogger(__name__)

DISCORD_EPOCH = 1_420_070_400_000
"""Milliseconds from the Unix epoch to Discord's (docs, reference.mdx, Snowflakes)."""
TOKEN_MS = 14 * 60 * 1000
"""An interaction can be answered for 15 minutes (docs, receiving-and-responding.mdx). We stop a
minute early."""
DEFAULT_UPLOAD_LIMIT = 10 * 1024 * 1024
"""Bytes per attachment that Discord accepts by default (docs, reference.mdx)."""


@dataclass(frozen=True, slots=True)
class InteractionToken:
    """What is needed to answer an interaction. `token` is a secret: it acts as the bot."""

    id: int
    token: str = field(repr=False)

    @property
    def good_to(self) -> int:
        """When we stop using the token, in milliseconds since the epoch."""
        return (self.id >> 22) + DISCORD_EPOCH + TOKEN_MS


@dataclass(frozen=True, slots=True)
class Origin(ABC):
    """Base of all origins.

    name: the value of jobs.origin. table: holds the fields of the class; None if it has none.
    limited: whether the owner's limits apply.
    """

    name: ClassVar[str]
    table: ClassVar[str | None] = None
    limited: ClassVar[bool] = True

    @property
    @abstractmethod
    def person(self) -> str:
        """Who asked, for turns, limits and quotas. Unique across all origins."""

    @property
    @abstractmethod
    def community(self) -> str | None:
        """The server it was asked in, for the limit per server; None outside a server."""

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """The columns of `table`, named as the fields; without those that are not kept there."""
        return tuple(own.name for own in fields(cls) if own.metadata.get("kept", True))

    def check_new(self, write: sqlite3.Connection) -> None:  # noqa: B027 – most need none
        """In the transaction that accepts a job: raise Refused when it has been accepted before."""

    def insert(self, write: sqlite3.Connection, job_id: str) -> None:
        """In the same transaction: keep the fields."""
        if self.table is None:
            return
        columns = ("job_id", *self.columns())
        values = (job_id, *(getattr(self, column) for column in self.columns()))
        marks = ", ".join("?" * len(columns))
        write.execute(
            f"INSERT INTO {self.table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            values,
        )

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """row: from `SELECT_JOBS`."""
        kept = {column: row[f"{cls.name}_{column}"] for column in cls.columns()}
        booleans = {own.name for own in fields(cls) if own.type is bool} & kept.keys()
        return cls(**{**kept, **{name: bool(kept[name]) for name in booleans}})


@dataclass(frozen=True, slots=True)
class CommandLine(Origin):
    """`main.py imagine`: the caller, who is the owner, collects the files."""

    name: ClassVar[str] = "cli"
    limited: ClassVar[bool] = False

    @property
    def person(self) -> str:
        return self.name

    @property
    def community(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Previewing(Origin):
    """A picture that shows a model or LoRA in the lists of them; see bot.previews."""

    name: ClassVar[str] = "previews"
    limited: ClassVar[bool] = False

    @property
    def person(self) -> str:
        return self.name

    @property
    def community(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api(Origin):
    """A call over HTTP.

    key_id: of the caller's key. repeat_key: a name that the caller chose for this request, so that
    repeating it makes no second job. asked: the SHA-256 of what was asked with it.
    daily: the images that the key may have in any 24 hours; None for no limit. priority: of the
    job.
    """

    name: ClassVar[str] = "api"
    table: ClassVar[str | None] = "api_jobs"

    key_id: str
    repeat_key: str | None = None
    asked: str | None = None
    daily: int | None = field(default=None, compare=False, metadata={"kept": False})
    priority: int = field(default=0, compare=False, metadata={"kept": False})

    def check_new(self, write: sqlite3.Connection) -> None:
        if self.repeat_key is None:
            return
        sql = "SELECT job_id, asked FROM api_jobs WHERE key_id = ? AND repeat_key = ?"
        row = write.execute(sql, (self.key_id, self.repeat_key)).fetchone()
        if row is not None:
            raise AskedBefore(row["job_id"], same=row["asked"] == self.asked)

    @property
    def person(self) -> str:
        return f"{self.name}:{self.key_id}"

    @property
    def community(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Unknown(Origin):
    """Stands for an origin that cannot be read: of a newer version, or lost to damage."""

    name: ClassVar[str] = "unknown"

    of: str
    within: str | None

    @property
    def person(self) -> str:
        return self.of

    @property
    def community(self) -> str | None:
        return self.within


@dataclass(frozen=True, slots=True)
class Forgotten(Origin):
    """What is left of a job whose person was forgotten, but from which others made something."""

    name: ClassVar[str] = "forgotten"

    @property
    def person(self) -> str:
        return ""

    @property
    def community(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discord(Origin):
    """A command, a button or a reaction on Discord.

    parent_channel_id: the channel of a thread; None if it was not asked in one.
    message_id: our message for the job, which shows first its status and finally its result.
    reply_to: the message that ours replies to. upload_limit: bytes per attachment there.
    interaction_id: of the command or button that our message answers; None for a reaction, and for
    what is a message of its own.
    age_restricted: whether the channel was when it was asked.
    hidden: whether only the person sees it, until they publish it. spoiler: whether its images are
    blurred until someone clicks.
    absent: whether the bot itself is not where it was asked, and can only answer the interaction.
    image_check: what is to happen to its images if they are flagged. withheld: they were, and are
    for their person alone: `shown` if everyone saw the message until then, else `hidden`.
    posting_at: when a separate message was first sent, in ms, whether or not it arrived.
    """

    name: ClassVar[str] = "discord"
    table: ClassVar[str | None] = "discord_jobs"

    user_id: int
    guild_id: int | None = None
    channel_id: int | None = None
    message_id: int | None = None
    reply_to: int | None = None
    locale: str = "en-US"
    upload_limit: int = DEFAULT_UPLOAD_LIMIT
    interaction_id: int | None = None
    posting_at: int | None = None
    age_restricted: bool = False
    hidden: bool = False
    spoiler: bool = False
    absent: bool = False
    image_check: ImageCheck = "off"
    withheld: str | None = None
    parent_channel_id: int | None = None
    token: str | None = field(default=None, repr=False, compare=False, metadata={"kept": False})

    def check_new(self, write: sqlite3.Connection) -> None:
        if self.interaction_id is None:
            return
        sql = "SELECT 1 FROM discord_jobs WHERE interaction_id = ?"
        if write.execute(sql, (self.interaction_id,)).fetchone():
            raise Refused("queue.twice")

    def insert(self, write: sqlite3.Connection, job_id: str) -> None:
        Origin.insert(self, write, job_id)
        if self.interaction_id is not None and self.token is not None:
            token = InteractionToken(self.interaction_id, self.token)
            write.execute(
                "INSERT INTO tokens (job_id, token, good_to) VALUES (?, ?, ?)",
                (job_id, token.token, token.good_to),
            )

    @property
    def by_token(self) -> bool:
        """Whether the bot reaches its message only while the interaction's token is valid."""
        return self.hidden or self.absent

    @property
    def says_whose(self) -> bool:
        """Whether our message says whose it is: of an answer, Discord does."""
        answers = self.interaction_id is not None and self.reply_to is None
        return not (self.hidden or answers)

    @classmethod
    def of(cls, origin: Origin) -> Self:
        """`origin` narrowed to Discord. Raises TypeError for any other origin."""
        if not isinstance(origin, cls):
            raise TypeError(f"asked for by {origin.name}, not on Discord")
        return origin

    @property
    def person(self) -> str:
        return discord_person(self.user_id)

    @property
    def community(self) -> str | None:
        return None if self.guild_id is None else discord_community(self.guild_id)

    @property
    def setting_channel(self) -> int | None:
        """The channel whose settings hold there: a thread has those of its channel."""
        return self.parent_channel_id or self.channel_id


def discord_person(user_id: int) -> str:
    """The `person` of a Discord user's jobs."""
    return f"{Discord.name}:{user_id}"


def discord_community(guild_id: int) -> str:
    """The `community` of the jobs asked for in a Discord server."""
    return f"{Discord.name}:{guild_id}"


ORIGINS: Mapping[str, type[Origin]] = {
    origin.name: origin for origin in (Discord, CommandLine, Api, Forgotten, Previewing)
}


def _select() -> str:
    columns, joins = ["jobs.*"], ""
    for origin in ORIGINS.values():
        if origin.table is not None:
            columns.append(f"{origin.table}.job_id AS {origin.name}_job_id")
            columns += [
                f"{origin.table}.{column} AS {origin.name}_{column}" for column in origin.columns()
            ]
            joins += f" LEFT JOIN {origin.table} ON {origin.table}.job_id = jobs.id"
    return f"SELECT {', '.join(columns)} FROM jobs{joins}"  # noqa: S608


SELECT_JOBS = _select()
"""Selects jobs with the data of their origins; append a WHERE clause."""


def origin_of(row: Row) -> Origin:
    """row: from `SELECT_JOBS`. One that cannot be read must not stop the bot: it is logged."""
    kind = ORIGINS.get(row["origin"])
    if kind is None or (kind.table is not None and row[f"{kind.name}_job_id"] is None):
        log.error("job %s: where it was asked (%s) cannot be read", row["id"], row["origin"])
        return Unknown(row["person"], row["community"])
    return kind.from_row(row)
