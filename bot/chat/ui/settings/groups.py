"""Which settings stand together on a panel."""

from collections.abc import Mapping
from typing import Final

from bot.levels import Level
from bot.levels.levels import FIELDS

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "use": ("paint", "roles", "priority_roles", "buttons", "quota", "cooldown"),
    "entries": ("allow_models", "block_models", "allow_loras", "block_loras"),
    "limits": ("max_steps", "max_megapixels", "max_count", "max_cells", "max_upscale"),
    "defaults": (
        *("model", "loras", "size", "steps", "guidance", "scheduler", "negative"),
        *("spoiler", "private"),
    ),
    "results": (
        *("forced_negative", "forced_spoiler", "image_check", "reactions", "keep_days"),
        *("compact", "ping"),
    ),
    "messages": ("language", "audit_channel", "welcome"),
}
"""A level shows those of its own."""


def names_of(level: Level, group: str) -> tuple[str, ...]:
    """The settings of the group that the level has."""
    return tuple(name for name in GROUPS[group] if name in FIELDS[level].model_fields)


def groups_of(level: Level) -> tuple[str, ...]:
    """The groups that have any."""
    return tuple(group for group in GROUPS if names_of(level, group))


def group_of(name: str) -> str:
    """The group that the setting is in."""
    return next(group for group, names in GROUPS.items() if name in names)
