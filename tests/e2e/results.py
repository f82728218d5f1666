"""Reading a result as a person reads it."""

import re
from collections.abc import Iterator
from typing import Any

from playground import Message

TEXT_DISPLAY = 10
PICTURES = 12
BUTTON = 2


def parts(message: Message) -> Iterator[dict[str, Any]]:
    """Every component of the message, also those within others."""

    def within(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for component in components:
            yield component
            yield from within(component.get("components", []))

    return within(message.components)


def lines(message: Message) -> list[str]:
    """The texts of a result, from top to bottom."""
    return [part["content"] for part in parts(message) if part["type"] == TEXT_DISPLAY]


def facts(message: Message) -> str:
    """The small print: model, LoRAs, what was chosen, and the seed."""
    [small] = [line for line in lines(message) if line.startswith("-# ")]
    return small


def gallery(message: Message) -> list[dict[str, Any]]:
    """The images, each with its media, description and spoiler."""
    return [item for part in parts(message) if part["type"] == PICTURES for item in part["items"]]


def buttons(message: Message) -> dict[str, str]:
    """The custom_id of each button, by its prefix."""
    ids = [str(part.get("custom_id", "")) for part in parts(message) if part["type"] == BUTTON]
    return {custom_id.partition(":")[0]: custom_id for custom_id in ids}


def job_of(message: Message) -> str:
    """The id of the job whose status, result or failure it shows."""
    for custom_id in buttons(message).values():
        return custom_id.split(":")[1]
    found = re.fullmatch(r".*\b([a-z0-9]{10})", message.embeds[0]["footer"]["text"])
    assert found
    return found[1]
