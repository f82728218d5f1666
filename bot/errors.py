"""Every error that the bot raises on purpose.

ImagenError
├── UserError            shown to the person; `code` names its sentence in bot/texts
│   ├── InvalidRequest   one field of a request is wrong; raised before anything is stored
│   ├── Mistakes         several fields of a form are wrong
│   ├── Refused          the request is valid but cannot be accepted now (queue full, not offered)
│   └── JobFailed        an accepted job cannot be generated (bad adapter file, out of memory)
├── PaintStopped         control flow: cancelled, past the deadline, shutting down
├── EngineLost           an engine can no longer generate; a new one can
├── NotHere              an engine lacks files of a job that others may have
├── TooSmall             a GPU has too little memory for the rest of a job; a larger one is there
├── Outgrown             this process has too few connections to Discord; a new one begins more
├── WireError            what came from a process or machine elsewhere is not what it should be
├── SettingsError        a setting is wrong; its text is the message
└── StoreError           the database cannot be used; its text is the message

Anything else becomes an apology with an incident id, and a traceback in the log.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

Param: TypeAlias = str | int | float | tuple[str, ...]
"""A parameter of a sentence; a tuple of names is listed as its language does."""


class ImagenError(Exception):
    """The base class of all the bot's errors."""


class UserError(ImagenError):
    """Shown to the person who asked: the sentence `code`, filled in with `params`.

    The prompt is never a parameter: errors are logged, prompts are not.
    """

    def __init__(self, code: str, **params: Param) -> None:
        super().__init__(code)
        self.code = code
        self.params = params

    def __str__(self) -> str:
        return f"{self.code} {self.params}" if self.params else self.code


class InvalidRequest(UserError):
    """`field` of a request is wrong. `params` carry the value and what is allowed."""

    def __init__(self, field: str, code: str, **params: Param) -> None:
        super().__init__(code, field=field, **params)
        self.field = field


class Mistakes(UserError):
    """Several fields of a form are wrong. errors: one for each."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("form.mistakes")
        self.errors = tuple(errors)


class Refused(UserError):
    """A valid request that cannot be accepted now."""


class AnsweredElsewhere(ImagenError):
    """Another copy of the bot has answered a request, so it is not ours any more."""


class AskedBefore(ImagenError):
    """A request with a name of the caller's choice that was accepted before, as job `job_id`.

    same: whether the same was asked then.
    """

    def __init__(self, job_id: str, *, same: bool) -> None:
        super().__init__(job_id)
        self.job_id = job_id
        self.same = same


class JobFailed(UserError):
    """An accepted job that cannot be generated or delivered."""


class StopReason(StrEnum):
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"


class PaintStopped(ImagenError):
    """Raised in the engine thread, between steps or stages, to stop a job."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Loss(StrEnum):
    """Why a process ended in the middle of a job."""

    DIED = "died"  # killed, or crashed
    DEVICE = "device"
    HUNG = "hung"
    WORKER = "worker"  # on another machine, which was lost or gave its job back


class EngineLost(ImagenError):
    """An engine can no longer generate. `loss` is the kind of reason, the text explains it.

    sure: whether it was surely the job that ended it. One that was killed may have been killed by
    anybody. innocent: whether it surely was not.
    """

    def __init__(self, loss: Loss, text: str, *, sure: bool = True, innocent: bool = False) -> None:
        super().__init__(text)
        self.loss = loss
        self.sure = sure
        self.innocent = innocent


class NotHere(ImagenError):
    """An engine elsewhere lacks a part of an order and cannot get it; another may have it.

    failure: what its person is told if no other has it; None if it will be there soon. digest: of
    the part, if it is known.
    """

    def __init__(self, failure: JobFailed | None, digest: str = "", text: str = "") -> None:
        super().__init__(text or str(failure))
        self.failure = failure
        self.digest = digest


class TooSmall(ImagenError):
    """A GPU with `memory` bytes has too few for the rest of a job, and a larger one is there."""

    def __init__(self, memory: int) -> None:
        super().__init__(f"{memory >> 20} MiB are too few")
        self.memory = memory


class WireError(ImagenError):
    """What another process or machine sent is refused. The text names the field and what is
    allowed; of texts that people typed it has nothing."""


class Outgrown(ImagenError):
    """This process has too few connections to Discord, and only a new one can begin more."""


class SettingsError(ImagenError):
    """A setting is wrong; the text names the variable and what is allowed, never a secret."""


class StoreError(ImagenError):
    """The database cannot be opened or used; the text says why, and what the owner can do.

    lasting: whether retrying is useless until the owner has acted.
    """

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting
