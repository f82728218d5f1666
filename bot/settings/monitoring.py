"""The settings of the log and of the figures for Prometheus."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings


def _any_case(level: object) -> object:
    return level.upper() if isinstance(level, str) else level


Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_any_case)]


class MonitoringSettings(BaseSettings):
    """See docs/settings.md."""

    log_level: Level = Field(
        default="INFO",
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="`text`, or `json` for one object per line, with the job's ID in `job`.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Port for `GET /healthz` and `GET /metrics` (Prometheus). If unset, there is "
        "none.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address that port listens on. Anyone who can reach it can see how busy the "
        "bot is.",
    )
