"""Read an untrusted configuration: a JSON object of limited size."""

from typing import Any

from pydantic_core import from_json


class NotAnObject(ValueError):
    """Why the bytes are no JSON object; the text completes a sentence that begins with its name."""


def json_object(raw: bytes, most: int) -> dict[str, Any]:
    """The object that `raw` holds, which was read up to one byte more than `most`.

    Raises NotAnObject.
    """
    if len(raw) > most:
        raise NotAnObject(f"is larger than {most} bytes")
    try:
        found = from_json(raw)  # unlike json.loads, it refuses deep nesting by itself
    except ValueError:
        raise NotAnObject("is not JSON") from None
    if not isinstance(found, dict):
        raise NotAnObject("is not a JSON object")
    return found
