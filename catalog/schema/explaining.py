"""Words an owner who edits TOML understands, for what pydantic finds wrong in an entry."""

from typing import Any, Final

from pydantic import ValidationError

from catalog.lines import one_line

_EXPECTED: Final = {
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_pattern_mismatch": "a commit, tag or branch name",
    "string_type": "text in quotes",
    "tuple_type": "a list in square brackets",
}
_TABLES: Final = {
    "FastPreset": '{steps = 6, guidance = 1.5, scheduler = "LCM"}',
    "ReferenceEntry": '{path = "…", weight_name = "….safetensors", encoder = "…"}',
}
_RANGE: Final = "{min = 10, default = 30, max = 100}"


def explain(error: ValidationError) -> str:
    """`error` as one short line: each field, what is allowed, and the given value."""
    return one_line("; ".join(_explain_one(dict(detail)) for detail in error.errors()))


def _explain_one(detail: dict[str, Any]) -> str:
    field = ".".join(str(part) for part in detail["loc"] if not str(part).startswith("function-"))
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"{field} is not a known field"
    if kind == "value_error":
        reason = str(context["error"])
        # Checks that involve several fields name the values themselves.
        named = not field or ", got " in reason
        return f"{field} {reason}".strip() + ("" if named else f", got {_shown(given)}")
    if kind in {"string_too_long", "too_long"}:
        unit = "characters" if isinstance(given, str) else "items"
        return f"{field} must have at most {context['max_length']} {unit}, got {_shown(given)}"
    if kind in {"string_too_short", "too_short"}:
        return f"{field} must not be empty"
    if kind == "model_type":
        table = _TABLES.get(context["class_name"], _RANGE)
        return f"{field} must be a table like {table}, got {_shown(given)}".strip()
    expected = _EXPECTED.get(kind) or detail["msg"].removeprefix("Input should be ")
    return f"{field} must be {expected}, got {_shown(given)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
