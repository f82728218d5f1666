"""The settings of which models there are."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from catalog import Demos


class ModelSettings(BaseSettings):
    """See docs/settings.md."""

    demo: bool = Field(
        default=False,
        description="`true` offers the small demo models that come with the bot and makes them "
        "the default.",
    )
    hub_token: SecretStr | None = Field(
        default=None,
        alias="HF_TOKEN",
        description="Access token for the Hugging Face hub, for models that are only shared with "
        "people who accepted their terms. If unset, the login of the `hf` command is used.",
    )

    def demos(self, otherwise: Demos) -> Demos:
        """How the demo models are offered; `otherwise` unless the owner set IMAGEN_DEMO."""
        return "default" if self.demo else otherwise
