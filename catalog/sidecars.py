"""Files that other programs keep next to a weight file: trigger words, weight, description."""

import json
import math
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from catalog.limits import WEIGHT_MAX, WEIGHT_MIN
from catalog.lines import clean_line
from catalog.schema import AdapterEntry, explain

SIDECAR_MAX: Final = 64 * 1024
_DESCRIPTION_MAX = 1000


def read_sidecar(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the JSON file that AUTOMATIC1111 keeps next to a LoRA: fields of the entry, problems."""
    try:
        if file.is_fifo():
            return {}, ["ignored: it is not a file"]  # opening it would block forever
        with file.open("rb") as opened:
            raw = opened.read(SIDECAR_MAX + 1)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [f"ignored: it cannot be opened ({error.strerror})"]
    if len(raw) > SIDECAR_MAX:
        return {}, [f"ignored: it is larger than {SIDECAR_MAX} bytes"]
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, ["ignored: it is not JSON"]
    if not isinstance(data, dict):
        return {}, ["ignored: it is not a JSON object"]
    fields: dict[str, Any] = {}
    wrong: list[str] = []
    text = data.get("activation text") or ""
    if isinstance(text, str):
        words = dict.fromkeys(filter(None, (clean_line(w, len(w)) for w in text.split(","))))
        fields |= {"trigger_words": tuple(words)} if words else {}
    else:
        wrong.append('"activation text" ignored: it must be text')
    weight = data.get("preferred weight") or 0  # the web UI writes 0 for "not set"
    if type(weight) not in {int, float} or not math.isfinite(weight):
        wrong.append('"preferred weight" ignored: it must be a number')
    elif not WEIGHT_MIN <= weight <= WEIGHT_MAX:
        wrong.append(
            f'"preferred weight" ignored: it must be from {WEIGHT_MIN:g} to {WEIGHT_MAX:g},'
            f" got {weight:g}"
        )
    elif weight:
        fields["default_weight"] = float(weight)
    description = data.get("description") or ""
    if isinstance(description, str):
        fields["description"] = description.strip()[:_DESCRIPTION_MAX]
    else:
        wrong.append('"description" ignored: it must be text')
    try:
        AdapterEntry(key="a", name="a", path="a", **fields)
    except ValidationError as error:
        return {}, [*wrong, f"ignored: {explain(error)}"]
    return fields, wrong
