"""What an error of the operating system says about a file: that it is absent, or something else.

A file that cannot be opened because too many others are open, or because a disk or network share
has a bad moment, is still there.
"""

import errno
from typing import Final

_ABSENT: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,  # a name that this system does not allow
    }
)
_SCARCE: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EAGAIN,
        errno.EINTR,
    }
)
_AWAY: Final = frozenset(
    {
        errno.EIO,
        errno.EBUSY,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENOLCK,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
    }
)


def is_absent(error: OSError) -> bool:
    """Whether it says that there is no such file, rather than that it cannot be read."""
    return error.errno in _ABSENT


def is_scarce(error: OSError) -> bool:
    """Whether the process or the system lacks something at the moment, such as open files."""
    return error.errno in _SCARCE


def may_pass(error: OSError) -> bool:
    """Whether trying again later may help: something is scarce, or a disk or share is away."""
    return error.errno in _SCARCE | _AWAY


def passing_fault(error: BaseException) -> OSError | None:
    """The first error that may pass among `error` and those that led to it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError) and may_pass(cause):
            return cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None
