"""Values of settings that need more than pydantic to be read."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode


def parts_of(text: str) -> list[str]:
    """What stands between the commas of `text`, without what is empty."""
    return [part for part in map(str.strip, text.split(",")) if part]


def as_written(value: object) -> str:
    """A setting's value as written in the environment."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case tuple():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{key}:{number}" for key, number in value.items())
        case _:
            return str(value)


def passwords_in(url: str) -> tuple[str, ...]:
    """What stands for a password in `url`, as written and as it is sent."""
    _, _, password = url.rpartition("@")[0].partition("://")[2].partition(":")
    return (password, unquote(password)) if password else ()


def _whole(pattern: str, otherwise: str) -> AfterValidator:
    """Refuses a text that is not all of `pattern`, with the words `otherwise`."""

    def checked(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(otherwise)
        return text

    return AfterValidator(checked)


def _each_whole(pattern: str, otherwise: str) -> AfterValidator:
    """The same for each of several texts."""

    def checked(texts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(pattern, text) for text in texts):
            raise ValueError(otherwise)
        return texts

    return AfterValidator(checked)


HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path, in which `~` stands for the home folder."""
_BASE_URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
DiscordUrl = Annotated[
    str,
    _whole(_BASE_URL, "must be a URL such as https://discord.com/api/v10"),
    AfterValidator(lambda url: url.rstrip("/")),
]
ImagenUrl = Annotated[str, _whole(_BASE_URL, "must be a URL such as https://imagen.example.org")]
ProxyUrl = Annotated[str, _whole(r"https?://\S+", "must be a URL such as http://127.0.0.1:3128")]
PageUrl = Annotated[
    str,
    Field(max_length=500),
    _whole(r"https?://[^\s<>()]+", "must be an address such as https://example.org/privacy"),
]


def _printable(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("must be a key as `main.py keys add` prints it")
    return key


Key = Annotated[SecretStr, AfterValidator(_printable)]


def _names(text: object) -> object:
    return tuple(parts_of(text)) if isinstance(text, str) else text


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Names, separated by commas."""
HostNames = Annotated[
    Names, _each_whole(r"[^\s/*@?#]+", "must be host names such as imagen.example.org")
]
Websites = Annotated[
    Names,
    _each_whole(
        r"https?://[^\s/*@?#]+/?",
        "must be websites such as https://chat.example.org, without a path",
    ),
]


def _ids(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = parts_of(text)
    if not all(re.fullmatch(r"[0-9]{1,19}", part) for part in parts):
        raise ValueError("must be IDs separated by commas, such as 123, 456")
    return tuple(int(part) for part in parts)


Ids = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ids)]
"""Discord IDs, separated by commas."""


def _priorities(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = [re.fullmatch(r"([0-9]{1,19})(?: *: *([1-9][0-9]?))?", p) for p in parts_of(text)]
    if not all(parts):
        raise ValueError("must be IDs with a priority from 1 to 99, such as 123, 456:2")
    return {int(part[1]): int(part[2] or 1) for part in parts if part}


Priorities = Annotated[dict[int, int], NoDecode, BeforeValidator(_priorities)]
"""Discord IDs, separated by commas, each with its priority after a colon, or with 1."""
DEVICES_MAX = 64


def _devices(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = [part.lower() for part in parts_of(text)]
    if parts == ["auto"]:
        return ()
    if parts == ["none"]:
        return ("none",)
    known = all(re.fullmatch(r"cuda(:(0|[1-9][0-9]?))?|mps|cpu", part) for part in parts)
    if not known or len(parts) > DEVICES_MAX:
        raise ValueError(
            "must be auto, none, or devices separated by commas, such as cuda:0, cuda:1"
            f" (at most {DEVICES_MAX})"
        )
    return tuple(parts)


Devices = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_devices)]
"""Names of devices, separated by commas; empty for `auto`."""
