"""The settings of a worker: a program that lends a bot elsewhere its machine."""

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.values import ImagenUrl


class WorkerSettings(BaseSettings):
    """See docs/settings.md."""

    fetch_from: ImagenUrl | None = Field(
        default=None,
        description="On a worker: address of the bot's HTTP interface, such as "
        "`https://imagen.example.org`, to fetch model files from that the worker lacks. It needs "
        "`IMAGEN_KEY`, made with `python main.py keys add NAME --worker`. If unset, it only takes "
        "jobs for what it has.",
    )
    fetched_gb: float = Field(
        default=100,
        gt=0,
        le=1_000_000,
        description="On a worker: GiB of fetched model files to keep, in `fetched/` of the models "
        "folder; beyond that, what was not used for longest is deleted.",
    )
