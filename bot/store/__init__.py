"""Persistent storage: jobs, images and settings in SQLite."""

from bot.store.acts import Act, ActKind, Detail, NewAct
from bot.store.api_keys import ApiKey
from bot.store.blocks import EVERYWHERE, Block
from bot.store.comparisons import (
    CELL,
    CELL_FAILED,
    cell_of_image,
    given_images,
    sheet_number,
    shown_images,
    shown_warnings,
    warnings_of,
)
from bot.store.faults import files_error, files_unread
from bot.store.input_uses import InputUse
from bot.store.jobs import (
    BLAMELESS_MAX,
    CRASHES_MAX,
    ELSEWHERE,
    OWN_CRASHES_MAX,
    Failure,
    ImageRecord,
    Job,
    JobState,
    Kind,
    NewJob,
    Painted,
    now_ms,
)
from bot.store.kept_images import KeptImage
from bot.store.levels import LevelChange, LevelKey
from bot.store.origins import (
    DEFAULT_UPLOAD_LIMIT,
    ORIGINS,
    Api,
    CommandLine,
    Discord,
    InteractionToken,
    Origin,
    Previewing,
    discord_community,
    discord_person,
)
from bot.store.personal import (
    COLUMNS,
    Answer,
    Erasable,
    Forgetting,
    Holdings,
    JobRows,
    Record,
    Removable,
    Span,
)
from bot.store.reports import Decision, Report
from bot.store.store import COPY_NOTICED, Store
from bot.store.usage import Usage
from bot.store.words import OWNER, BlockedWord

__all__ = [
    "BLAMELESS_MAX",
    "CELL",
    "CELL_FAILED",
    "COLUMNS",
    "COPY_NOTICED",
    "CRASHES_MAX",
    "DEFAULT_UPLOAD_LIMIT",
    "ELSEWHERE",
    "EVERYWHERE",
    "ORIGINS",
    "OWNER",
    "OWN_CRASHES_MAX",
    "Act",
    "ActKind",
    "Answer",
    "Api",
    "ApiKey",
    "Block",
    "BlockedWord",
    "CommandLine",
    "Decision",
    "Detail",
    "Discord",
    "Erasable",
    "Failure",
    "Forgetting",
    "Holdings",
    "ImageRecord",
    "InputUse",
    "InteractionToken",
    "Job",
    "JobRows",
    "JobState",
    "KeptImage",
    "Kind",
    "LevelChange",
    "LevelKey",
    "NewAct",
    "NewJob",
    "Origin",
    "Painted",
    "Previewing",
    "Record",
    "Removable",
    "Report",
    "Span",
    "Store",
    "Usage",
    "cell_of_image",
    "discord_community",
    "discord_person",
    "files_error",
    "files_unread",
    "given_images",
    "now_ms",
    "sheet_number",
    "shown_images",
    "shown_warnings",
    "warnings_of",
]
