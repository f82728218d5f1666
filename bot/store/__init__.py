"""The durable memory: jobs, images and settings in SQLite."""

from bot.store.jobs import (
    DEFAULT_UPLOAD_LIMIT,
    Failure,
    ImageRecord,
    Job,
    JobState,
    Kind,
    NewJob,
    Origin,
    Painted,
)
from bot.store.store import Store

__all__ = [
    "DEFAULT_UPLOAD_LIMIT",
    "Failure",
    "ImageRecord",
    "Job",
    "JobState",
    "Kind",
    "NewJob",
    "Origin",
    "Painted",
    "Store",
]
