"""The settings of what people are told about their data, and how long it is kept."""

import re

from pydantic import Field, field_validator

from bot.settings.servers import ServerSettings


class PrivacySettings(ServerSettings):
    """See docs/settings.md."""

    contact: str | None = Field(
        default=None,
        max_length=200,
        alias="IMAGEN_CONTACT",
        description="How people reach whoever runs the bot, such as an e-mail address: `/privacy` "
        "shows it.",
    )
    privacy_url: str | None = Field(
        default=None,
        max_length=500,
        alias="IMAGEN_PRIVACY_URL",
        description="Address of your privacy policy (see PRIVACY.md), to which `/privacy` links.",
    )
    terms_url: str | None = Field(
        default=None,
        max_length=500,
        alias="IMAGEN_TERMS_URL",
        description="Address of your terms of service (see TERMS.md), to which `/privacy` links.",
    )
    keep_history_days: int = Field(
        default=0,
        ge=0,
        le=100_000,
        alias="IMAGEN_KEEP_HISTORY_DAYS",
        description="Days to keep requests in the database, prompts included; 0 means until their "
        "person uses `/forget`. Favourites are kept. With a request, its images are deleted as "
        "well.",
    )

    @field_validator("privacy_url", "terms_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^\s<>()]+", url):
            raise ValueError("must be an address such as https://example.org/privacy")
        return url
