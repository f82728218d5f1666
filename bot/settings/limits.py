"""The settings of who may generate, how much, and how much of it is kept on disk."""

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.values import Ids, Priorities


class LimitSettings(BaseSettings):
    """See docs/settings.md."""

    queue_size: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Jobs that may be waiting or running at once, across all users.",
    )
    queue_per_user: int = Field(
        default=3,
        ge=1,
        le=1_000,
        description="Jobs that may be waiting or running at once for one user.",
    )
    queue_per_guild: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Jobs that may be waiting or running at once for one server. If unset, there "
        "is no limit per server.",
    )
    cooldown: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="Seconds a user has to wait between two requests.",
    )
    daily_pictures: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Images one user may have in any 24 hours; failed jobs do not count. If "
        "unset, there is no limit.",
    )
    allowed_roles: Ids = Field(
        default=(),
        description="IDs of roles, separated by commas; a user needs one of them to generate "
        "images. If unset, everyone may.",
    )
    priority_roles: Priorities = Field(
        default={},
        description="IDs of roles whose jobs go first, such as `123, 456:2`. The number after the "
        "colon is the priority: higher goes first, and without one it is 1.",
    )
    blocked_users: Ids = Field(
        default=(),
        description="IDs of users, separated by commas, who may not generate images.",
    )
    keep_days: float = Field(
        default=90,
        ge=0,
        le=100_000,
        description="Days to keep generated images, and the images they were made from, on disk; 0 "
        "means forever. Posts in Discord, and each job's history and seed in the database, are not "
        "affected. What people keep of their own with ⭐ has no age limit.",
    )
    keep_gb: float = Field(
        default=50,
        ge=0,
        le=1_000_000,
        description="GiB of those images to keep on disk; beyond that, the oldest are deleted "
        "first, and what somebody keeps with ⭐ last. 0 means no limit.",
    )
    max_adapters: int = Field(
        default=4,
        ge=1,
        le=8,
        description="LoRAs that one request may combine.",
    )
