"""Pages of the catalog: entries to embeds, with buttons whose ids carry the page."""

from collections.abc import Sequence
from typing import TypeVar

import discord

from bot.ui.language import Say
from bot.ui.markdown import escaped
from bot.ui.messages import BLURPLE
from catalog import AdapterEntry, ModelEntry

PER_PAGE = 6
VALUE_MAX = 700  # six of them stay under the 6,000 characters of one message

T = TypeVar("T")


def cut(entries: Sequence[T], page: int) -> tuple[Sequence[T], int, int]:
    """The entries of `page`, that page brought into range, and the number of pages; from 0."""
    pages = max(1, -(-len(entries) // PER_PAGE))
    page = max(0, min(page, pages - 1))
    return entries[page * PER_PAGE : (page + 1) * PER_PAGE], page, pages


def models_page(
    say: Say,
    models: Sequence[ModelEntry],
    page: int,
    *,
    default: str,
    loaded: str | None,
    states: dict[str, str],
) -> tuple[discord.Embed, int, int]:
    """states: what to say of a model's files, by key; none for those that are there."""
    shown, page, pages = cut(models, page)
    embed = discord.Embed(title=say("models.title"), colour=BLURPLE)
    if not models:
        embed.description = say("models.empty")
    for entry in shown:
        marks = [say("models.default")] if entry.key == default else []
        marks += [say("models.loaded")] if entry.key == loaded else []
        marks += [states[entry.key]] if entry.key in states else []
        native = say(
            "models.native",
            width=entry.size[0],
            height=entry.size[1],
            steps=entry.steps.default,
            guidance=f"{entry.guidance.default:g}",
        )
        key = " · ".join([f"`{entry.key}`", *marks])
        lines = [key, escaped(entry.description), f"-# {native}"]
        _add(embed, entry.name, lines)
    _sign(embed, say, say("models.hint"), page, pages)
    return embed, page, pages


def loras_page(
    say: Say, adapters: Sequence[AdapterEntry], page: int, *, model: ModelEntry | None
) -> tuple[discord.Embed, int, int]:
    """model: whose LoRAs these are; None for all."""
    shown, page, pages = cut(adapters, page)
    title = say("loras.title_for", model=model.name) if model else say("loras.title")
    embed = discord.Embed(title=title, colour=BLURPLE)
    if not adapters:
        embed.description = say("loras.empty")
    for entry in shown:
        weight = say("loras.weight", weight=f"{entry.default_weight:g}")
        lines = [f"`{entry.key}` · {weight}", escaped(entry.description)]
        if entry.trigger_words:
            words = ", ".join(f"`{word}`" for word in entry.trigger_words)
            lines.append(say("loras.triggers", words=words))
        _add(embed, entry.name, lines)
    _sign(embed, say, say("loras.hint"), page, pages)
    return embed, page, pages


def _add(embed: discord.Embed, name: str, lines: Sequence[str]) -> None:
    value = "\n".join(line for line in lines if line)
    if len(value) > VALUE_MAX:
        value = value[: VALUE_MAX - 1] + "…"
    embed.add_field(name=escaped(name), value=value, inline=False)


def _sign(embed: discord.Embed, say: Say, hint: str, page: int, pages: int) -> None:
    counter = say("pages.page", page=page + 1, pages=pages)
    embed.set_footer(text=f"{hint} · {counter}" if pages > 1 else hint)
