"""What the store keeps of a job, as frozen records."""

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, Self, TypeVar

from bot.errors import Loss, Param, UserError
from bot.progress import Notice
from bot.recipe import Recipe
from bot.request import GenerationRequest
from bot.store.database import Row
from bot.store.origins import InteractionToken, Origin, origin_of

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
Kind = Literal["imagine", "reroll", "vary"]

CRASHES_MAX = 2
"""Times that one job may take the process with it."""
LOST = {Loss.DIED: "job.died", Loss.DEVICE: "job.device", Loss.HUNG: "job.hung"}
"""What people are told of a job that was lost too often."""
ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"

UNREADABLE = GenerationRequest(
    prompt="?",
    negative="",
    model="?",
    steps=1,
    guidance=1.0,
    seed=0,
    width=64,
    height=64,
    scheduler="?",
)
"""Stands for a request that cannot be read, as from a newer version of the bot."""
FAULTS = (ValueError, TypeError, LookupError, AttributeError)
"""What reading JSON raises that is not as it should be."""


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
    """Why a job failed: a sentence of bot/texts and its parameters."""

    code: str
    params: dict[str, Param]

    @classmethod
    def of(cls, error: UserError) -> Self:
        return cls(error.code, dict(error.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be accepted.

    roles: the person's, where the origin has such; the queue finds the priority by them.
    interaction: the command or button of Discord that asks; None for anything else.
    """

    request: GenerationRequest
    origin: Origin
    id: str = field(default_factory=new_id)
    kind: Kind = "imagine"
    roles: frozenset[int] = frozenset()
    priority: int = 0
    parent_id: str | None = None
    interaction: InteractionToken | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One painted file. `sha256` is the file's, `pixels_sha256` that of its RGB bytes.

    pruned_at: when the file was deleted to make room; None while it is there.
    """

    n: int
    seed: int
    path: str
    bytes: int
    width: int
    height: int
    sha256: str
    pixels_sha256: str
    pruned_at: int | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(**{key: row[key] for key in row.keys() if key != "job_id"})  # noqa: SIM118


@dataclass(frozen=True, slots=True)
class KeptImage:
    """A picture whose file is there. ended_at: of its job, in milliseconds since the epoch.

    deletable: whether nobody waits for it any more.
    """

    job_id: str
    n: int
    path: str
    bytes: int
    ended_at: int
    deletable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the store has it. Times are milliseconds since the epoch.

    crashes: times that it took the process with it, at last by `lost_to`.
    told_at: when the person was told that it failed or was cancelled.
    """

    id: str
    origin: Origin
    kind: Kind
    state: JobState
    attempt: int
    crashes: int
    parent_id: str | None
    request: GenerationRequest
    person: str
    community: str | None
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
    told_at: int | None = None
    lost_to: Loss | None = None

    @property
    def poison(self) -> Failure | None:
        """Why it is not tried again: it took the process with it too often, or cannot be read."""
        if self.request is UNREADABLE:
            return Failure("job.unreadable", {})
        if self.crashes < CRASHES_MAX:
            return None
        loss = self.lost_to or Loss.DIED
        return Failure(LOST[loss], {})

    @property
    def seconds(self) -> float:
        """How long the painting took; 0 when it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at) / 1000

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """row: of `SELECT_JOBS`.

        What of it cannot be read is logged, and stood for: one row must not stop the bot.
        """
        values: dict[str, Any] = {own.name: row[own.name] for own in fields(cls)}
        lost_to = values["lost_to"]
        unknown = Failure("job.unexpected", {"id": values["id"]})
        return cls(
            **{
                **values,
                "origin": origin_of(row),
                "state": JobState(values["state"]),
                "request": _read(row, "request", GenerationRequest.from_dict, UNREADABLE),
                "error": _read(row, "error", _failure, unknown),
                "recipe": _read(row, "recipe", _recipe, None),
                "warnings": _read(row, "warnings", _notices, ()),
                "lost_to": Loss(lost_to) if lost_to else None,
            }
        )


def _read(row: Row, column: str, make: Callable[[Any], T], otherwise: U) -> T | U:
    """What `make` makes of the JSON in `column`, NULL being None; `otherwise` where it cannot."""
    try:
        return make(json.loads(row[column] or "null"))
    except FAULTS as error:
        # Not what it says: that may quote the prompt.
        log.error("job %s: its %s cannot be read: %s", row["id"], column, type(error).__name__)
        return otherwise


def _failure(data: dict[str, Any] | None) -> Failure | None:
    return Failure(**data) if data else None


def _recipe(data: dict[str, Any] | None) -> Recipe | None:
    return Recipe.from_dict(data) if data else None


def _notices(data: list[dict[str, Any]]) -> tuple[Notice, ...]:
    return tuple(Notice(**notice) for notice in data)


@dataclass(frozen=True, slots=True)
class Painted:
    """What there is to learn from a job that was painted; times are milliseconds."""

    request: GenerationRequest
    started_at: int
    finished_at: int

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at) / 1000

    @classmethod
    def from_row(cls, row: Row) -> Self | None:
        """None when it cannot be read: there is nothing to learn from it."""
        request = _read(row, "request", GenerationRequest.from_dict, UNREADABLE)
        if request is UNREADABLE:
            return None
        return cls(request, row["started_at"], row["finished_at"])


def now_ms() -> int:
    return time.time_ns() // 1_000_000
