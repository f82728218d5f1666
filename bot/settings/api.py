"""The settings of the HTTP interface."""

import re

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from bot.settings.values import Names, parts_of


class ApiSettings(BaseSettings):
    """See docs/settings.md."""

    api_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        alias="IMAGEN_API_PORT",
        description="Port of the HTTP interface, which `run` serves beside Discord. If unset, only "
        "`serve` offers it, on port 8009.",
    )
    api_host: str = Field(
        default="127.0.0.1",
        alias="IMAGEN_API_HOST",
        description="Address that the HTTP interface listens on. One that other machines can reach "
        "needs a key first: `python main.py keys add NAME`.",
    )
    api_hosts: Names = Field(
        default=(),
        alias="IMAGEN_API_HOSTS",
        description="Host names under which the HTTP interface is called, separated by commas, "
        "beyond `localhost` and plain addresses. Others are refused.",
    )
    api_origins: Names = Field(
        default=(),
        alias="IMAGEN_API_ORIGINS",
        description="Websites whose scripts may call the HTTP interface, separated by commas, such "
        "as `https://chat.example.org`. If unset, none may.",
    )
    api_queue_per_key: int = Field(
        default=10,
        ge=1,
        le=10_000,
        alias="IMAGEN_API_QUEUE_PER_KEY",
        description="Jobs that may be waiting or running at once for one caller over HTTP.",
    )
    metrics_keys: bool = Field(
        default=False,
        alias="IMAGEN_METRICS_KEYS",
        description="Whether `GET /metrics` also counts jobs over HTTP by the name of their key, "
        "which tells anyone who can read it who uses the bot.",
    )
    key: SecretStr | None = Field(
        default=None,
        alias="IMAGEN_KEY",
        description="Key that the command line presents to the server named by `--server`, and a "
        "worker to the one of `IMAGEN_FETCH_FROM`. Other users of a machine can see the options of "
        "commands, but not this.",
    )
    fetch_from: str | None = Field(
        default=None,
        alias="IMAGEN_FETCH_FROM",
        description="On a worker: address of the bot's HTTP interface, such as "
        "`https://imagen.example.org`, to fetch model files from that the worker lacks. It needs "
        "`IMAGEN_KEY`, made with `python main.py keys add NAME --worker`. If unset, it only takes "
        "jobs for what it has.",
    )
    fetched_gb: float = Field(
        default=100,
        gt=0,
        le=1_000_000,
        alias="IMAGEN_FETCHED_GB",
        description="On a worker: GiB of fetched model files to keep, in `fetched/` of the models "
        "folder; beyond that, what was not used for longest is deleted.",
    )

    @field_validator("key")
    @classmethod
    def _printable(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("must be a key as `main.py keys add` prints it")
        return key

    @field_validator("fetch_from")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("must be a URL such as https://imagen.example.org")
        return url

    @field_validator("api_hosts", "api_origins", mode="before")
    @classmethod
    def _names(cls, text: object) -> object:
        return tuple(parts_of(text)) if isinstance(text, str) else text

    @field_validator("api_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"https?://[^\s/*@?#]+/?", origin) for origin in origins):
            raise ValueError("must be websites such as https://chat.example.org, without a path")
        return origins

    @field_validator("api_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[^\s/*@?#]+", host) for host in hosts):
            raise ValueError("must be host names such as imagen.example.org")
        return hosts
