"""The durable memory: jobs, images and settings in SQLite."""

from bot.store.faults import files_error, files_unread
from bot.store.jobs import (
    CRASHES_MAX,
    DEFAULT_UPLOAD_LIMIT,
    Asked,
    Failure,
    ImageRecord,
    Job,
    JobState,
    KeptImage,
    Kind,
    NewJob,
    Origin,
    Painted,
    now_ms,
)
from bot.store.store import Store

__all__ = [
    "CRASHES_MAX",
    "DEFAULT_UPLOAD_LIMIT",
    "Asked",
    "Failure",
    "ImageRecord",
    "Job",
    "JobState",
    "KeptImage",
    "Kind",
    "NewJob",
    "Origin",
    "Painted",
    "Store",
    "files_error",
    "files_unread",
    "now_ms",
]
