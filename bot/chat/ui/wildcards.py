"""Pages of wildcards: embeds that list the files with a few of their lines, or all lines of one."""

from collections.abc import Sequence

import discord
from discord.app_commands import Choice

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.markdown import code, codes, seen
from bot.chat.ui.messages import BLURPLE
from bot.chat.ui.pages import cut
from bot.texts.language import Say
from catalog import Wildcards

SAMPLES: int = 200
"""Characters of the lines that a list shows of each file."""
LINES_MAX: int = 3_500
"""Characters of the lines of a single file; a description may have 4,096."""


def wildcards_page(
    say: Say, names: Sequence[str], page: int, *, wildcards: Wildcards
) -> tuple[discord.Embed, int, int]:
    """The wildcards called `names`; a single one with its lines. Returns the page and the number of
    pages too."""
    listed, page, pages = cut(names, page)
    embed = discord.Embed(title=say("wildcards.title"), colour=BLURPLE)
    hint = say("wildcards.hint")
    embed.set_footer(
        text=f"{hint} · {say('pages.page', page=page + 1, pages=pages)}" if pages > 1 else hint
    )
    if not names:
        embed.description = say("wildcards.none" if wildcards.files else "wildcards.empty")
        return embed, page, pages
    for name in listed:
        values = wildcards.files[name].values
        lines = say("wildcards.lines", count=len(values))
        if len(names) == 1:
            head = f"{code(f'__{name}__')} · {lines}"
            embed.description = f"{head}\n{codes(values, LINES_MAX)}"
        else:
            value = f"{lines} · {codes(values, SAMPLES)}"
            embed.add_field(name=code(f"__{name}__"), value=value, inline=False)
    return embed, page, pages


def wildcard_choices(text: str, wildcards: Wildcards, *, nsfw: bool) -> list[Choice[str]]:
    """The wildcards whose name matches."""
    found = wildcards.search(text, nsfw=nsfw, limit=CHOICES_MAX)
    return [Choice(name=seen(name)[:CHOICE_LENGTH], value=name) for name in found]


def wildcards_meant(text: str, wildcards: Wildcards, *, nsfw: bool) -> tuple[str, ...]:
    """The wildcard of that name or the ones of that pattern, else those whose name matches."""
    wanted = text.strip().strip("_")
    if found := wildcards.find(wanted, nsfw=nsfw):
        return found
    return wildcards.search(wanted, nsfw=nsfw, limit=len(wildcards.files))
