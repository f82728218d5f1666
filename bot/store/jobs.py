"""Jobs and images as the store returns them: frozen records."""

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, Self, TypeVar

from bot.errors import Loss, Param, UserError
from bot.progress import Notice
from bot.recipe import Recipe
from bot.request import GenerationRequest
from bot.store.database import Row
from bot.store.origins import Origin, Unknown, origin_of

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
Kind = Literal[
    "imagine",
    "reroll",
    "vary",
    "edit",
    "upscale",
    "compare",
    "cell",
    "extend",
    "part",
    "detail",
    "map",
    "describe",
]
"""What a job is for. A *cell* is an image of a comparison, opened as a result of its own: it was
generated before, costs nothing, and its parent is the comparison."""

CRASHES_MAX = 4
"""A job during which the process died this often is not tried again, whatever the reason."""
OWN_CRASHES_MAX = 2
"""Nor is one that has surely caused this many of them."""
GIVEN_BACK_MAX = 20
"""Nor is one that had to go elsewhere this often, though it is not to blame: somebody waits."""
BLAMELESS_MAX = 2
"""Up to this attempt, a job that is generated in another process is not suspected of having ended
the bot's. From then on it is: saving its images may have."""
LOST = {
    Loss.DIED: "job.died",
    Loss.DEVICE: "job.device",
    Loss.HUNG: "job.hung",
    Loss.WORKER: "job.worker",
}
"""What people are told about such a job."""
ELSEWHERE = "result.elsewhere"
"""The code of a job's warning that it was generated in another environment than what it repeats."""
ADD_IMAGE = (
    "INSERT OR REPLACE INTO images (job_id, n, seed, path, bytes, width, height, sha256,"
    " pixels_sha256)"
    " VALUES (:job_id, :n, :seed, :path, :bytes, :width, :height, :sha256, :pixels_sha256)"
)
"""Adds `ImageRecord.row` to the store."""
ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 10

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
"""Replaces a request that cannot be read, such as one from a newer version of the bot."""
FAULTS = (ValueError, TypeError, LookupError, AttributeError)
"""Raised when JSON is malformed or has an unexpected structure."""


def new_id() -> str:
    """A new job id: ten unambiguous characters (49 bits)."""
    number, digits = secrets.randbelow(len(ID_ALPHABET) ** ID_LENGTH), []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, len(ID_ALPHABET))
        digits.append(ID_ALPHABET[digit])
    return "".join(digits)


class JobState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: the code of a sentence in bot/texts, and its parameters."""

    code: str
    params: dict[str, Param]

    @classmethod
    def of(cls, error: UserError) -> Self:
        return cls(error.code, dict(error.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be accepted.

    roles: the person's role ids, if the origin has roles; they determine the priority.
    warnings: what the person should know already; those of the result are added to them.
    """

    request: GenerationRequest
    origin: Origin
    id: str = field(default_factory=new_id)
    kind: Kind = "imagine"
    roles: frozenset[int] = frozenset()
    priority: int = 0
    parent_id: str | None = None
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One generated file. `sha256` is of the file, `pixels_sha256` of its RGB bytes.

    pruned_at: when the file was deleted to make room; None while it exists.
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

    def row(self, job_id: str) -> dict[str, Any]:
        """The values of `ADD_IMAGE`."""
        return {"job_id": job_id, **asdict(self)}

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(**{key: row[key] for key in row.keys() if key != "job_id"})  # noqa: SIM118


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A stored job. Times are milliseconds since the epoch.

    crashes: how often the process died while it ran, except for what was no fault of a job's;
    `lost_to` says why the last time. own_crashes: those of them that it surely caused.
    boot: the machine's boot during which it was last started; None if unknown.
    painted_at: when the engine had generated all of it, so that its lane was free; None until
    another job is started, or it is done.
    told_at: when the person was told that it failed or was cancelled.
    deleted_at: when someone deleted its images, or its words.
    words: what is in the image that it describes; None until that is known, and of any other job.
    lane: the name of the lane that last started it. isolated: whether that generates in another
    process than the bot's. deaths: how often the bot died meanwhile, which the job was not blamed
    for. memory_above: bytes of the largest GPU on which it ran out of memory; it is generated on a
    larger one, if there is one. given_back: how often it had to go to another lane through no fault
    of its own.
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
    own_crashes: int = 0
    boot: str | None = None
    painted_at: int | None = None
    deleted_at: int | None = None
    lane: str | None = None
    isolated: bool = False
    deaths: int = 0
    memory_above: int = 0
    given_back: int = 0
    words: str | None = field(default=None, repr=False)

    @property
    def suspect(self) -> bool:
        """Whether the process died while it ran: it is tried again after all others, and alone."""
        return self.crashes > 0

    @property
    def poison(self) -> Failure | None:
        """Why it must not be tried again: too many tries, or an unreadable request; else None."""
        if self.request is UNREADABLE or isinstance(self.origin, Unknown):
            return Failure("job.unreadable", {})
        if self.crashes >= CRASHES_MAX or self.own_crashes >= OWN_CRASHES_MAX:
            return Failure(LOST[self.lost_to or Loss.DIED], {})
        if self.given_back >= GIVEN_BACK_MAX:
            return Failure("job.given_back", {})
        return None

    @property
    def seconds(self) -> float:
        """How long it ran, until its files were saved; 0 if it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at) / 1000

    @property
    def lane_seconds(self) -> float:
        """How long it kept its lane; 0 if it has not been generated."""
        if self.started_at is None or self.painted_at is None:
            return 0.0
        return (self.painted_at - self.started_at) / 1000

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """row: from `SELECT_JOBS`.

        Values that cannot be read are logged and replaced: one bad row must not stop the bot.
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
                "isolated": bool(values["isolated"]),
                "deaths": values["deaths"],
            }
        )


def _read(row: Row, column: str, make: Callable[[Any], T], otherwise: U) -> T | U:
    """`make` applied to the JSON in `column` (None for NULL); `otherwise` if that fails."""
    try:
        return make(json.loads(row[column] or "null"))
    except FAULTS as error:
        # The type only: the message may quote the prompt.
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
    """A generated job, for the estimator. Times are milliseconds since the epoch.

    painted_at: when its lane was free again.
    """

    request: GenerationRequest
    started_at: int
    painted_at: int

    @property
    def seconds(self) -> float:
        """How long it kept its lane."""
        return (self.painted_at - self.started_at) / 1000

    @classmethod
    def from_row(cls, row: Row) -> Self | None:
        """None if its request cannot be read."""
        request = _read(row, "request", GenerationRequest.from_dict, UNREADABLE)
        if request is UNREADABLE:
            return None
        return cls(request, row["started_at"], row["painted_at"])


def now_ms() -> int:
    return time.time_ns() // 1_000_000
