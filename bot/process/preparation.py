"""What the bot's process sets for itself before it does anything else."""

import logging
import os
import sys
from typing import Final

log = logging.getLogger(__name__)

OPEN_FILES: Final = 65_536
"""Wanted: connections, model shards and images add up, and many systems start with 1,024.

No more, because some libraries go through every number up to the limit."""


def keep_files_private() -> None:
    """Let no other user of this machine read the files that this process creates."""
    # Windows has no such permissions, and ignores this.
    os.umask(os.umask(0o077) | 0o077)


def allow_open_files() -> None:
    """Raise the limit of open files as far as the system allows, up to OPEN_FILES."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # macOS may have a lower limit of its own
        log.warning("the limit of open files stays at %d: %s", soft, error)
