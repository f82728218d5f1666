"""A field more or less is a new version: an older worker would refuse every order that has it."""

import dataclasses
import hashlib
import typing

from pydantic import BaseModel, PlainSerializer

from bot.distributed.announcement import WIRE, Announcement
from bot.progress import Progress
from bot.wire.orders import SentOrder
from bot.wire.paintings import Header, SentPainting

SENT = (Announcement, SentOrder, Progress, Header, SentPainting)
FIELDS = {10: "168b806d04ade913"}
"""WIRE, and the digest of all fields of what is sent. If that changed, raise WIRE."""


def collect(kind: typing.Any, found: dict[str, list[str]]) -> None:
    """The names of the fields of every class that is reached from `kind`, by the class's name."""
    inner = typing.get_args(kind)
    if any(isinstance(each, PlainSerializer) for each in inner):
        return  # sent as a key
    for each in inner:
        collect(each, found)
    if not isinstance(kind, type) or kind.__qualname__ in found:
        return
    if issubclass(kind, BaseModel):
        names = [*kind.model_fields]
    elif dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    else:
        return
    hints = typing.get_type_hints(kind, include_extras=True)
    found[kind.__qualname__] = sorted(names)
    for name in names:
        collect(hints[name], found)


def test_what_is_sent_is_that_of_its_version() -> None:
    found: dict[str, list[str]] = {}
    for kind in SENT:
        collect(kind, found)
    assert {"GenerationRequest", "ModelEntry", "AdapterEntry", "Recipe", "DeviceState"} <= {*found}
    assert "Family" not in found
    said = "\n".join(f"{name} {' '.join(fields)}" for name, fields in sorted(found.items()))
    assert {WIRE: hashlib.sha256(said.encode()).hexdigest()[:16]} == FIELDS
