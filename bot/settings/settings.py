"""All settings, and how they are read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from bot.errors import SettingsError
from bot.settings.api import ApiSettings
from bot.settings.broker import BrokerSettings
from bot.settings.connection import ConnectionSettings
from bot.settings.engine import EngineSettings
from bot.settings.folders import FolderSettings
from bot.settings.limits import LimitSettings
from bot.settings.models import ModelSettings
from bot.settings.monitoring import MonitoringSettings
from bot.settings.places import PlaceSettings
from bot.settings.privacy import PrivacySettings
from bot.settings.results import ResultSettings
from bot.settings.servers import ServerSettings
from bot.settings.values import as_written, passwords_in
from bot.settings.workers import WorkerSettings
from bot.variables import misspelled

ENV_FILE = Path(".env")
SHARED = ("HF_TOKEN",)
"""Settings that other programs read as well."""


class Settings(
    ResultSettings,
    PlaceSettings,
    BrokerSettings,
    PrivacySettings,
    ServerSettings,
    WorkerSettings,
    ApiSettings,
    MonitoringSettings,
    LimitSettings,
    EngineSettings,
    ModelSettings,
    FolderSettings,
    ConnectionSettings,
):
    """One field per variable, whose name is IMAGEN_ and the field's in upper case, unless the field
    has an alias.

    The last of the groups above comes first, since pydantic takes fields from bases in that order.
    """

    model_config = SettingsConfigDict(
        alias_generator=lambda name: f"IMAGEN_{name.upper()}",
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

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
    """Each variable's name and description."""
    for field in Settings.model_fields.values():
        yield str(field.alias), str(field.description)


SECRET = ("DISCORD_TOKEN", "DISCORD_PROXY", "HF_TOKEN", "IMAGEN_KEY", "IMAGEN_BROKER")


def _sentence(name: str, error: ErrorDetails) -> str:
    allowed = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    allowed = allowed.partition(", unable to ")[0]
    given = "" if name in SECRET else f", got {error['input']!r}"
    return f"{name}: {allowed}{given}"
