"""All settings but those of the HTTP interface, and how all of them are read."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict

from bot.errors import SettingsError
from bot.settings.results import ResultSettings
from bot.settings.values import Devices, Ids, as_written, parts_of, passwords_in
from bot.variables import misspelled
from catalog import Demos

DISCORD_API_URL = "https://discord.com/api/v10"
ENV_FILE = Path(".env")
SHARED = ("HF_TOKEN",)
"""Settings that other programs read as well."""


class Settings(ResultSettings):
    """One field per variable; the field's alias is the variable's name."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    token: SecretStr | None = Field(
        default=None,
        alias="DISCORD_TOKEN",
        description="The bot's token, from https://discord.com/developers/applications. Only "
        "`run` and `sync` need it.",
    )
    api_url: str = Field(
        default=DISCORD_API_URL,
        alias="DISCORD_API_URL",
        description="Base URL of Discord's REST API. The bot asks it for the gateway's address.",
    )
    proxy: str | None = Field(
        default=None,
        repr=False,
        alias="DISCORD_PROXY",
        description="HTTP proxy for all traffic with Discord, e.g. `http://127.0.0.1:3128`.",
    )
    guild_id: int | None = Field(
        default=None,
        ge=1,
        alias="DISCORD_GUILD_ID",
        description="ID of one server to register the commands in. If unset, they are registered "
        "globally.",
    )
    data_dir: Path = Field(
        default=Path("data"),
        alias="IMAGEN_DATA_DIR",
        description="Folder for the database, generated images and images that users upload.",
    )
    catalog_dir: Path = Field(
        default=Path("catalog"),
        alias="IMAGEN_CATALOG_DIR",
        description="Folder with `models.toml`, `loras.toml`, `embeddings.toml`, "
        "`upscalers.toml` and the folder `wildcards`.",
    )
    models_dir: Path = Field(
        default=Path("models"),
        alias="IMAGEN_MODELS_DIR",
        description="Folder for your own model files and for downloads: `checkpoints/`, `loras/`, "
        "`embeddings/`, `upscalers/` and `hub/`.",
    )
    demo: bool = Field(
        default=False,
        alias="IMAGEN_DEMO",
        description="`true` offers the small demo models that come with the bot and makes them "
        "the default.",
    )
    hub_token: SecretStr | None = Field(
        default=None,
        alias="HF_TOKEN",
        description="Access token for the Hugging Face hub, for models that are only shared with "
        "people who accepted their terms. If unset, the login of the `hf` command is used.",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        default="auto",
        alias="IMAGEN_DEVICE",
        description="Kind of device to generate on: `auto`, `cuda`, `mps` or `cpu`. "
        "IMAGEN_DEVICES says which of them.",
    )
    devices: Devices = Field(
        default=(),
        alias="IMAGEN_DEVICES",
        description="Devices that generate at the same time, one job each: `auto` (every CUDA card "
        "there is, where IMAGEN_DEVICE is `auto` or `cuda`), or a list such as `cuda:0, cuda:1`, "
        "which IMAGEN_DEVICE then has no part in. `none`: only workers generate, see "
        "IMAGEN_BROKER.",
    )
    engine: Literal["auto", "thread", "process"] = Field(
        default="auto",
        alias="IMAGEN_ENGINE",
        description="Where each device's engine runs: in a `thread` of the bot, or in a `process` "
        "of its own, which takes nothing else along when it crashes and is then started anew. "
        "`auto`: a thread for one device, processes for several.",
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        default="auto",
        alias="IMAGEN_DTYPE",
        description="Precision of the weights: `auto` (fp16 on a GPU, fp32 on a CPU), `float16`, "
        "`bfloat16` or `float32`.",
    )
    memory: Literal["auto", "full", "16gb", "11gb", "8gb"] = Field(
        default="auto",
        alias="IMAGEN_MEMORY",
        description="How much of a model stays on the GPU: `auto` (chosen by the card's size), "
        "`full`, `16gb`, `11gb` or `8gb`.",
    )
    weights: Literal["auto", "full", "int8"] = Field(
        default="auto",
        alias="IMAGEN_WEIGHTS",
        description="How the largest weights are stored on the GPU: `full` (as IMAGEN_DTYPE says; "
        "those that do not fit are copied from RAM at every step), `int8` (8 bits, half the "
        "memory, slightly other images), or `auto` (`int8` for the models that need it on a card "
        "of this size). LoRAs work with all of them.",
    )
    compiled: bool = Field(
        default=False,
        alias="IMAGEN_COMPILE",
        description="`true` compiles the network that denoises in the background, once for each "
        "of the model's usual sizes; not for Z-Image, and not on cards of less than 15 GiB. "
        "Compiled code may round differently, so the same seed may not give the same bytes as "
        "without it.",
    )
    model_cache: float | None = Field(
        default=None,
        ge=0,
        le=4096,
        alias="IMAGEN_MODEL_CACHE",
        description="GiB of RAM for models that are not in use, which makes switching fast; "
        "several devices share it evenly. If unset, half of the RAM (on a CPU, none).",
    )
    adapter_cache: float = Field(
        default=1,
        ge=0,
        le=1024,
        alias="IMAGEN_ADAPTER_CACHE",
        description="GiB of RAM for recently used LoRAs, not counting those in use, for each "
        "device.",
    )
    preview: bool = Field(
        default=True,
        alias="IMAGEN_PREVIEW",
        description="Whether messages show a preview while an image is generated: `true` or "
        "`false`.",
    )
    idle_minutes: float = Field(
        default=30,
        ge=0,
        le=100_000,
        alias="IMAGEN_IDLE_MINUTES",
        description="Minutes without a job before the GPU's memory is released; 0 means never.",
    )
    job_timeout: float = Field(
        default=600,
        gt=0,
        le=86_400,
        alias="IMAGEN_JOB_TIMEOUT",
        description="Seconds one job may take to generate, not counting downloads. Jobs with more "
        "than 100 steps over all their images get proportionally more.",
    )
    restart: bool = Field(
        default=True,
        alias="IMAGEN_RESTART",
        description="Whether `run` restarts itself when nothing else helps (the GPU failed, "
        "something hangs). `false` exits with code 75 instead, for a supervisor to restart it.",
    )
    queue_size: int = Field(
        default=50,
        ge=1,
        le=10_000,
        alias="IMAGEN_QUEUE_SIZE",
        description="Jobs that may be waiting or running at once, across all users.",
    )
    queue_per_user: int = Field(
        default=3,
        ge=1,
        le=1_000,
        alias="IMAGEN_QUEUE_PER_USER",
        description="Jobs that may be waiting or running at once for one user.",
    )
    queue_per_guild: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        alias="IMAGEN_QUEUE_PER_GUILD",
        description="Jobs that may be waiting or running at once for one server. If unset, there "
        "is no limit per server.",
    )
    cooldown: float = Field(
        default=0,
        ge=0,
        le=86_400,
        alias="IMAGEN_COOLDOWN",
        description="Seconds a user has to wait between two requests.",
    )
    daily_pictures: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        alias="IMAGEN_DAILY_PICTURES",
        description="Images one user may have in any 24 hours; failed jobs do not count. If "
        "unset, there is no limit.",
    )
    allowed_roles: Ids = Field(
        default=(),
        alias="IMAGEN_ALLOWED_ROLES",
        description="IDs of roles, separated by commas; a user needs one of them to generate "
        "images. If unset, everyone may.",
    )
    priority_roles: Annotated[dict[int, int], NoDecode] = Field(
        default={},
        alias="IMAGEN_PRIORITY_ROLES",
        description="IDs of roles whose jobs go first, such as `123, 456:2`. The number after the "
        "colon is the priority: higher goes first, and without one it is 1.",
    )
    blocked_users: Ids = Field(
        default=(),
        alias="IMAGEN_BLOCKED_USERS",
        description="IDs of users, separated by commas, who may not generate images.",
    )
    keep_days: float = Field(
        default=90,
        ge=0,
        le=100_000,
        alias="IMAGEN_KEEP_DAYS",
        description="Days to keep generated images, and the images they were made from, on disk; 0 "
        "means forever. Posts in Discord, and each job's history and seed in the database, are not "
        "affected. What people keep of their own with ⭐ has no age limit.",
    )
    keep_gb: float = Field(
        default=50,
        ge=0,
        le=1_000_000,
        alias="IMAGEN_KEEP_GB",
        description="GiB of those images to keep on disk; beyond that, the oldest are deleted "
        "first, and what somebody keeps with ⭐ last. 0 means no limit.",
    )
    max_adapters: int = Field(
        default=4,
        ge=1,
        le=8,
        alias="IMAGEN_MAX_ADAPTERS",
        description="LoRAs that one request may combine.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        alias="IMAGEN_LOG_LEVEL",
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        alias="IMAGEN_LOG_FORMAT",
        description="`text`, or `json` for one object per line, with the job's ID in `job`.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        alias="IMAGEN_METRICS_PORT",
        description="Port for `GET /healthz` and `GET /metrics` (Prometheus). If unset, there is "
        "none.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        alias="IMAGEN_METRICS_HOST",
        description="Address that port listens on. Anyone who can reach it can see how busy the "
        "bot is.",
    )

    @field_validator("api_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("must be a URL such as https://discord.com/api/v10")
        return url.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _proxy_url(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://\S+", url):
            raise ValueError("must be a URL such as http://127.0.0.1:3128")
        return url

    @field_validator("priority_roles", mode="before")
    @classmethod
    def _priorities(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        parts = [re.fullmatch(r"([0-9]{1,19})(?: *: *([1-9][0-9]?))?", p) for p in parts_of(text)]
        if not all(parts):
            raise ValueError("must be IDs with a priority from 1 to 99, such as 123, 456:2")
        return {int(part[1]): int(part[2] or 1) for part in parts if part}

    @field_validator("data_dir", "catalog_dir", "models_dir")
    @classmethod
    def _from_home(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @property
    def database(self) -> Path:
        return self.data_dir / "imagen.sqlite3"

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def hashes_file(self) -> Path:
        """Where digests of weights are kept."""
        return self.data_dir / "hashes.json"

    @property
    def previews_dir(self) -> Path:
        """Where painted previews of models and LoRAs are kept."""
        return self.data_dir / "previews"

    @property
    def inputs_dir(self) -> Path:
        return self.data_dir / "inputs"

    def demos(self, otherwise: Demos) -> Demos:
        """How the demo models are offered; `otherwise` unless the owner set IMAGEN_DEMO."""
        return "default" if self.demo else otherwise

    def secrets(self) -> tuple[str, ...]:
        """Values that must never appear in a log."""
        # discord.py strips the token, so this is the form that could end up in a log.
        tokens = [t.get_secret_value().strip() for t in (self.token, self.hub_token, self.key) if t]
        broker = self.broker.get_secret_value() if self.broker else ""
        return tuple(filter(None, (*tokens, self.proxy or "", broker, *passwords_in(broker))))

    def variables(self) -> dict[str, str]:
        """The environment from which `load` restores these settings, secrets included."""
        given = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value != field.default:
                given[str(field.alias)] = as_written(value)
        return given

    @classmethod
    def load(cls) -> Self:
        """Read the environment and `.env`; raise SettingsError naming every invalid variable."""
        problems: list[str] = []
        settings = None
        try:
            given = {*os.environ, *dotenv_values(ENV_FILE, encoding="utf-8-sig")}
            # Their values are not shown: the name may be a misspelling of the token's.
            problems += [
                f"{name}: no such setting; the settings are {', '.join(names_of())}"
                for name in misspelled(given, names_of(), SHARED)
            ]
            settings = cls()
        except ValidationError as error:
            problems += [_sentence(str(e["loc"][0]), e) for e in error.errors()]
        except OSError as error:
            problems.append(f"{ENV_FILE}: cannot be read ({error.strerror})")
        except UnicodeDecodeError:
            problems.append(".env: not UTF-8 text; save it as UTF-8")
        if problems or settings is None:
            raise SettingsError("\n".join(problems))
        return settings


def names_of() -> tuple[str, ...]:
    return tuple(name for name, _ in described())


def described() -> Iterator[tuple[str, str]]:
    """Each variable's name and description, those of results and the HTTP interface last."""
    inherited = ResultSettings.model_fields
    for _, field in sorted(Settings.model_fields.items(), key=lambda each: each[0] in inherited):
        yield str(field.alias), str(field.description)


SECRET = ("DISCORD_TOKEN", "DISCORD_PROXY", "HF_TOKEN", "IMAGEN_KEY", "IMAGEN_BROKER")


def _sentence(name: str, error: ErrorDetails) -> str:
    allowed = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    allowed = allowed.partition(", unable to ")[0]
    given = "" if name in SECRET else f", got {error['input']!r}"
    return f"{name}: {allowed}{given}"
