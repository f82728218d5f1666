"""What a user's client sends when a form (modal) is submitted:
https://docs.discord.com/developers/components/using-modal-components.

It refuses to send what the form does not allow, so the bot never sees it.
"""

from typing import Any

from playground import components as c
from playground import limits_components, limits_forms
from playground.errors import ClientRefused

JsonObject = dict[str, Any]
LIST_VALUED = c.SELECTS | {c.FILE_UPLOAD, c.CHECKBOXES}


def inputs(modal: JsonObject) -> dict[str, JsonObject]:
    """The fields of a form by custom_id."""
    walked = c.walk(modal.get("components") or [])
    return {str(entry["custom_id"]): entry for _, entry in walked if "custom_id" in entry}


def fill(modal: JsonObject, values: dict[str, Any]) -> list[JsonObject]:
    """The ``components`` that the client submits for a form with these values.

    Other fields keep their defaults. A string select, a radio group and a checkbox group take the
    values or labels of their options; other selects and file uploads take ids. Raises ClientRefused
    for values the client would reject.
    """
    fields = inputs(modal)
    if strange := values.keys() - fields.keys():
        raise ClientRefused(
            f"the form {modal['custom_id']!r} has no field {sorted(strange)}; it has: "
            f"{', '.join(fields) or 'none'}"
        )
    done: list[JsonObject] = []
    for row in c.numbered(modal["components"]):
        base: JsonObject = {"type": row["type"], "id": row["id"]}
        if row["type"] == c.ROW:
            base["components"] = [_answer(inner, values) for inner in row["components"]]
        elif row["type"] == c.LABEL:
            base["component"] = _answer(row["component"], values)
        done.append(base)
    return done


def _answer(entry: JsonObject, values: dict[str, Any]) -> JsonObject:
    name, kind = str(entry["custom_id"]), int(entry["type"])
    answer: JsonObject = {"type": kind, "id": entry["id"], "custom_id": name}
    if kind in LIST_VALUED:
        return answer | {"values": _chosen(name, entry, values)}
    if kind == c.CHECKBOX:
        return answer | {"value": bool(values.get(name, entry.get("default") or False))}
    if kind == c.RADIO:
        chosen = _chosen(name, entry, values)
        return answer | {"value": chosen[0] if chosen else None}
    return answer | {"value": _typed(name, entry, str(values.get(name, entry.get("value") or "")))}


def _typed(name: str, entry: JsonObject, text: str) -> str:
    most = entry.get("max_length")
    least, most = int(entry.get("min_length") or 0), limits_forms.TEXT if most is None else most
    if entry.get("required") is not False and not text:
        raise ClientRefused(f"the field {name!r} must be filled in")
    if text and not least <= len(text) <= most:
        raise ClientRefused(
            f"the field {name!r} takes {least} to {most} characters; {len(text)} were typed"
        )
    if entry.get("style") == limits_forms.SHORT and "\n" in text:
        raise ClientRefused(f"the field {name!r} has one line; a line break cannot be typed")
    return text


def _chosen(name: str, entry: JsonObject, values: dict[str, Any]) -> list[str]:
    """The values chosen in a field; its defaults if ``values`` does not name it."""
    offered = entry.get("options") or []
    if name not in values:
        chosen = [o["value"] for o in offered if o.get("default")]
        chosen += [str(o["id"]) for o in entry.get("default_values") or []]
    else:
        given = values[name] or []
        chosen = [given] if isinstance(given, str) else [str(value) for value in given]
    if not chosen and entry.get("required") is False:
        return chosen
    group = entry["type"] == c.CHECKBOXES
    return choose(name, entry, chosen, most=len(offered) if group else 1)


def choose(name: str, entry: JsonObject, chosen: list[str], *, most: int = 1) -> list[str]:
    """The values of the options chosen by value or label, or the ids as they are.

    ``most``: how many there may be if the component does not say. Raises ClientRefused.
    """
    if offered := entry.get("options"):
        chosen = [_option(name, offered, value) for value in chosen]
    if len(set(chosen)) < len(chosen):
        raise ClientRefused(f"{name!r}: {chosen} names one option twice")
    least, upper = limits_components.bounds(entry, most)
    if not least <= len(chosen) <= upper:
        raise ClientRefused(f"{name!r} takes {least} to {upper} values; {len(chosen)} were chosen")
    return chosen


def _option(name: str, offered: list[JsonObject], value: str) -> str:
    """The value of the option with this value or label."""
    for key in ("value", "label"):
        for option in offered:
            if option[key] == value:
                return str(option["value"])
    allowed = ", ".join(option["value"] for option in offered)
    raise ClientRefused(f"{name!r} has no option {value!r}; it has: {allowed}")
