"""The settings of the HTTP interface."""

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.values import HostNames, Key, Websites


class ApiSettings(BaseSettings):
    """See docs/settings.md."""

    api_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Port of the HTTP interface, which `run` serves beside Discord. If unset, only "
        "`serve` offers it, on port 8009.",
    )
    api_host: str = Field(
        default="127.0.0.1",
        description="Address that the HTTP interface listens on. One that other machines can reach "
        "needs a key first: `python main.py keys add NAME`.",
    )
    api_hosts: HostNames = Field(
        default=(),
        description="Host names under which the HTTP interface is called, separated by commas, "
        "beyond `localhost` and plain addresses. Others are refused.",
    )
    api_origins: Websites = Field(
        default=(),
        description="Websites whose scripts may call the HTTP interface, separated by commas, such "
        "as `https://chat.example.org`. If unset, none may.",
    )
    api_queue_per_key: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Jobs that may be waiting or running at once for one caller over HTTP.",
    )
    metrics_keys: bool = Field(
        default=False,
        description="Whether `GET /metrics` also counts jobs over HTTP by the name of their key, "
        "which tells anyone who can read it who uses the bot.",
    )
    key: Key | None = Field(
        default=None,
        description="Key that the command line presents to the server named by `--server`, and a "
        "worker to the one of `IMAGEN_FETCH_FROM`. Other users of a machine can see the options of "
        "commands, but not this.",
    )
