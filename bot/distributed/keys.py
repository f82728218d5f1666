"""Names of keys in the broker. All that a worker needs begins with its own name, so that a login
of the broker can be limited to it, see `bot.distributed.access`."""

import re
from typing import Final

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""A worker's name. Nothing in it means anything to the broker's patterns."""
_QUEUE: Final = re.compile(rf"({NAME.pattern})\.[0-9a-f]{{8}}\.[0-9]{{1,2}}")
_ORDER: Final = re.compile(r"[A-Za-z0-9:_.-]{1,100}")


BOT: Final = "imagen:bot"
"""The bot that uses this broker; there is one."""
WORKERS: Final = "imagen:worker:"
"""What precedes a worker's name in the key of what it announces."""


NOBODY: Final = "-"
"""What holds a lease so that whoever had it loses it."""


def is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def announced(worker: str) -> str:
    return f"{WORKERS}{worker}"


def files(worker: str) -> str:
    """The digests of the files that a worker has."""
    return f"imagen:files:{worker}"


def drained(worker: str) -> str:
    """There if the owner has the worker take no jobs."""
    return f"imagen:drained:{worker}"


def of_worker(worker: str) -> tuple[str, ...]:
    """Patterns of all keys that a worker's login may write, and of what the owner says of it."""
    own = (announced(worker), files(worker), drained(worker), f"imagen:{worker}.*")
    return (*own, f"saq:{worker}.*", f"saq:job:{worker}.*", f"saq:abort:{worker}.*")


def queue(worker: str, session: str, number: int) -> str:
    """The queue of a worker's device. No two processes ever share one: a worker that was started
    again knows nothing of what its predecessor had begun."""
    return f"{worker}.{session}.{number}"


def worker_of(queue: str) -> str | None:
    """The worker whose queue it is; None if it is none of ours."""
    found = _QUEUE.fullmatch(queue)
    return found[1] if found else None


def job(queue: str, order: str, number: str) -> str:
    """The key of one order in a queue. number: no two orders of a queue have the same.

    SAQ keys what it aborts by this alone, so it names the queue.
    """
    return f"{queue}:{order if _ORDER.fullmatch(order) else 'order'}:{number}"


def lease(queue: str) -> str:
    """The job that is waited for."""
    return f"imagen:{queue}:lease"


def picture(queue: str, sha256: str) -> str:
    return f"imagen:{queue}:picture:{sha256}"


def order(job: str) -> str:
    return f"imagen:{job}:order"


def result(job: str) -> str:
    return f"imagen:{job}:result"


def image(job: str, number: int) -> str:
    return f"imagen:{job}:image:{number}"


def preview(job: str) -> str:
    return f"imagen:{job}:preview"
