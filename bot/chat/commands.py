"""Command descriptions: commands are declared with text codes, which are resolved here."""

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import locale_str

from bot.texts.language import Texts


def localize(
    command: app_commands.Command[Any, ..., Any] | app_commands.Group, texts: Texts
) -> None:
    """Replace the codes in the descriptions of `command` and its options with English text."""
    say = texts.speaker()
    command.description = say(command.description)
    if isinstance(command, app_commands.Group):
        return
    options = {option.name: str(option.description) for option in command.parameters}
    app_commands.describe(
        **{name: locale_str(say(code), code=code) for name, code in options.items()}
    )(command)


class CommandTranslator(app_commands.Translator):
    """Gives Discord the descriptions in the other languages that `texts` has."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        # For a command's own description discord.py passes the declared string: the code itself.
        return self._texts.translation(string.extras.get("code", string.message), locale.value)
