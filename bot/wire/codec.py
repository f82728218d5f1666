"""Codec: one kind of frozen dataclass as JSON."""

from typing import Any, Final, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from bot.errors import WireError

JSON_MAX: Final = 2**20
"""Bytes of one message. Requests have a few kilobytes, recipes some more."""
TEXT_MAX: Final = 32_768
"""Characters of one text in it."""
SHOWN: Final = 100
"""Characters of a field's name that an error shows."""

STRICT: Final = ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, str_max_length=TEXT_MAX
)

T = TypeVar("T")


class Codec(Generic[T]):
    """Writes and reads one kind of dataclass. Unknown fields and other types are refused.

    what: the message's name in errors. most: bytes that it may have.
    """

    def __init__(self, kind: type[T], what: str, most: int = JSON_MAX) -> None:
        self._what = what
        self._most = most
        # Dataclasses take their configuration from what they are part of.
        whole: Any = tuple[kind]  # type: ignore[valid-type]
        self._adapter: TypeAdapter[tuple[T]] = TypeAdapter(whole, config=STRICT)

    def encode(self, value: T) -> bytes:
        """JSON in UTF-8. Raises WireError if it is too large, or no text in it can be written."""
        try:
            data = self._adapter.dump_json((value,))
        except PydanticSerializationError as error:
            # Its message quotes what cannot be written.
            raise WireError(f"{self._what}: cannot be written as JSON") from error.__cause__
        self._check_size(data)
        return data

    def decode(self, data: bytes) -> T:
        """Reverses `encode`. Raises WireError."""
        self._check_size(data)
        try:
            (value,) = self._adapter.validate_json(data)
        except ValidationError as error:
            raise WireError(f"{self._what}: {_explained(error)}") from None
        return value

    def _check_size(self, data: bytes) -> None:
        if len(data) > self._most:
            raise WireError(f"{self._what}: {len(data)} bytes; allowed are {self._most}")


def _explained(error: ValidationError) -> str:
    """Its first fault, without a value that somebody typed."""
    fault = error.errors(include_url=False)[0]
    # The first part of the path is the tuple that all messages are in.
    field = ".".join(str(part) for part in fault["loc"][1:])
    said = fault["msg"] if fault["type"] != "json_invalid" else "not JSON"
    return ": ".join(filter(None, (ascii(field)[1:-1][:SHOWN], said + _number(fault))))


def _number(fault: ErrorDetails) -> str:
    """The value, if it is one that cannot have been a part of a text."""
    given: Any = fault["input"]
    return f", got {given!r}" if isinstance(given, bool | float) or _is_short(given) else ""


def _is_short(given: object) -> bool:
    return isinstance(given, int) and given.bit_length() <= 64
