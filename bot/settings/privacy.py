"""The settings of what people are told about their data, and how long it is kept."""

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.values import PageUrl


class PrivacySettings(BaseSettings):
    """See docs/settings.md."""

    contact: str | None = Field(
        default=None,
        max_length=200,
        description="How people reach whoever runs the bot, such as an e-mail address: `/privacy` "
        "shows it.",
    )
    privacy_url: PageUrl | None = Field(
        default=None,
        description="Address of your privacy policy (see PRIVACY.md), to which `/privacy` links.",
    )
    terms_url: PageUrl | None = Field(
        default=None,
        description="Address of your terms of service (see TERMS.md), to which `/privacy` links.",
    )
    keep_history_days: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Days to keep requests in the database, prompts included; 0 means until their "
        "person uses `/forget`. Favourites are kept. With a request, its images are deleted as "
        "well.",
    )
