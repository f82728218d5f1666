"""The settings of what servers may decide for themselves."""

from pydantic import Field
from pydantic_settings import BaseSettings


class ServerSettings(BaseSettings):
    """See docs/settings.md."""

    server_priority: int = Field(
        default=0,
        ge=0,
        le=99,
        description="The priority that jobs of a server's own priority roles get. They go ahead of "
        "everyone's with a lower one, in all servers; `0` gives them none.",
    )
