"""What the store keeps of a job, as frozen records."""

import json
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

from bot.errors import Param, UserError
from bot.progress import Notice
from bot.recipe import Recipe
from bot.request import GenerationRequest
from bot.store.database import Row

Origin = Literal["discord", "cli"]
Kind = Literal["imagine", "reroll", "vary"]

ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
DEFAULT_UPLOAD_LIMIT = 10 * 1024 * 1024
"""Bytes of one attachment that Discord takes where it says nothing else (docs, reference.mdx)."""


def new_id() -> str:
    """A fresh job id: ten characters that nobody misreads (49 bits)."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(10))


class JobState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: a sentence of bot/ui/texts and its parameters."""

    code: str
    params: dict[str, Param]

    @classmethod
    def of(cls, error: UserError) -> Self:
        return cls(error.code, dict(error.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be accepted. `user_id` is 0 for the command line, which has no guild or channel.

    roles: the user's in that guild. priority: which the queue finds by them.
    """

    request: GenerationRequest
    origin: Origin
    id: str = field(default_factory=new_id)
    kind: Kind = "imagine"
    user_id: int = 0
    guild_id: int | None = None
    roles: frozenset[int] = frozenset()
    priority: int = 0
    channel_id: int | None = None
    reply_to: int | None = None
    parent_id: str | None = None
    locale: str = "en-US"
    upload_limit: int = DEFAULT_UPLOAD_LIMIT


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One painted file. `sha256` is the file's, `pixels_sha256` that of its RGB bytes."""

    n: int
    seed: int
    path: str
    bytes: int
    width: int
    height: int
    sha256: str
    pixels_sha256: str

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(**{key: row[key] for key in row.keys() if key != "job_id"})  # noqa: SIM118


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the store has it. Times are milliseconds since the epoch."""

    id: str
    origin: Origin
    kind: Kind
    state: JobState
    attempt: int
    crashes: int
    parent_id: str | None
    request: GenerationRequest
    user_id: int
    guild_id: int | None
    channel_id: int | None
    message_id: int | None
    reply_to: int | None
    locale: str
    upload_limit: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    delivered_at: int | None
    error: Failure | None
    recipe: Recipe | None
    warnings: tuple[Notice, ...]
    priority: int = 0
    passed: int = 0
    due_at: int | None = None

    @property
    def seconds(self) -> float:
        """How long the painting took; 0 when it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at) / 1000

    @classmethod
    def from_row(cls, row: Row) -> Self:
        values: dict[str, Any] = {key: row[key] for key in row.keys()}  # noqa: SIM118
        error, recipe = values["error"], values["recipe"]
        return cls(
            **{
                **values,
                "state": JobState(values["state"]),
                "request": GenerationRequest.from_dict(json.loads(values["request"])),
                "error": Failure(**json.loads(error)) if error else None,
                "recipe": Recipe.from_dict(json.loads(recipe)) if recipe else None,
                "warnings": tuple(Notice(**notice) for notice in json.loads(values["warnings"])),
            }
        )


@dataclass(frozen=True, slots=True)
class Painted:
    """What there is to learn from a job that was painted; times are milliseconds."""

    request: GenerationRequest
    started_at: int
    finished_at: int

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at) / 1000


def now_ms() -> int:
    return time.time_ns() // 1_000_000
