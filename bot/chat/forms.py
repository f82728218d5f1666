"""Forms (modals): opening one, and reading what was entered.

discord.py keeps a modal in memory until it is submitted. Ours are routed by their custom_id like
buttons, so a form that was open while the bot restarted can still be submitted.
"""

from collections.abc import Iterable
from typing import Any

import discord

LABEL, ACTION_ROW = 18, 1
"""Types of components around another one (docs, components/reference.mdx)."""


async def open_form(interaction: discord.Interaction[Any], form: discord.ui.Modal) -> None:
    """Answer `interaction` with a form. Raises what discord.py raises."""
    await interaction.response.send_modal(form)
    form.stop()  # discord.py shall not keep it


def entered(interaction: discord.Interaction[Any]) -> dict[str, str]:
    """What was entered into a form, by custom_id; of a select, the first value, or "".

    Empty for any interaction but the submission of a form.
    """
    data: dict[str, Any] = {**(interaction.data or {})}
    return dict(_values(data.get("components", ())))


def entered_into(
    interaction: discord.Interaction[Any], custom_ids: Iterable[str]
) -> dict[str, str]:
    """The same, of these fields alone; "" for what is not in the form."""
    given = entered(interaction)
    return {custom_id: given.get(custom_id, "") for custom_id in custom_ids}


def chosen(interaction: discord.Interaction[Any], custom_id: str) -> tuple[str, ...]:
    """All values that were chosen in a select of a form."""
    data: dict[str, Any] = {**(interaction.data or {})}
    inner = (label.get("component", {}) for label in data.get("components", ()))
    found = (select for select in inner if select.get("custom_id") == custom_id)
    return tuple(str(value) for select in found for value in select.get("values") or ())


def _values(components: Any) -> Any:
    for component in components:
        if component.get("type") == LABEL:
            yield from _values([component.get("component", {})])
        elif component.get("type") == ACTION_ROW:
            yield from _values(component.get("components", ()))
        elif custom_id := component.get("custom_id"):
            values = component.get("values")
            value = component.get("value") if values is None else next(iter(values), "")
            yield custom_id, "" if value is None else str(value)
