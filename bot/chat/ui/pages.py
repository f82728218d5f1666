"""Pages of the catalog: embeds that list models, LoRAs and embeddings."""

from collections.abc import Collection, Sequence
from typing import TypeVar

import discord

from bot.chat.ui.markdown import code, codes, cut_off, one_line, shown
from bot.chat.ui.messages import BLURPLE
from bot.request import nameable
from bot.texts.language import Say
from catalog import (
    UNKNOWN,
    AdapterEntry,
    AdapterFacts,
    Catalog,
    EmbeddingEntry,
    EmbeddingFacts,
    Misfit,
    ModelEntry,
)

PER_PAGE = 6
VALUE_MAX = 700  # six of them stay under the 6,000 characters of one message
WORDS_MAX = 350
"""Of VALUE_MAX, for trigger words; the label before them takes at most 20 more."""
LINE_MAX = 160
"""For each of the two lines above the description."""

T = TypeVar("T")


def cut(entries: Sequence[T], page: int) -> tuple[Sequence[T], int, int]:
    """The entries of `page`, its number clamped to the range (from 0), and the page count."""
    pages = max(1, -(-len(entries) // PER_PAGE))
    page = max(0, min(page, pages - 1))
    return entries[page * PER_PAGE : (page + 1) * PER_PAGE], page, pages


def models_page(
    say: Say,
    models: Sequence[ModelEntry],
    page: int,
    *,
    default: str,
    loaded: Collection[str],
    states: dict[str, str],
) -> tuple[discord.Embed, int, int]:
    """states: a remark on a model's files, by key; no entry if they are present."""
    listed, page, pages = cut(models, page)
    embed = discord.Embed(title=say("models.title"), colour=BLURPLE)
    if not models:
        embed.description = say("models.empty")
    for entry in listed:
        marks = [say("models.default")] if entry.key == default else []
        marks += [say("models.loaded")] if entry.key in loaded else []
        marks += [states[entry.key]] if entry.key in states else []
        native = say(
            "models.native",
            width=entry.size[0],
            height=entry.size[1],
            steps=entry.steps.default,
            guidance=f"{entry.guidance.default:g}",
        )
        key = " · ".join([code(entry.key), *marks])
        _add(embed, entry.name, [key], entry.description, [f"-# {native}"])
    _sign(embed, say, say("models.hint"), page, pages)
    return embed, page, pages


def loras_page(
    say: Say,
    adapters: Sequence[AdapterEntry],
    page: int,
    *,
    model: ModelEntry | None,
    catalog: Catalog,
    nsfw: bool,
) -> tuple[discord.Embed, int, int]:
    """LoRAs that do not fit come last, marked.

    model: the one they are for; None for any. catalog: has the facts read from their files.
    nsfw: whether models that are marked so may be named.
    """
    key = model.key if model else None
    unfit = {entry.key: why for entry in adapters if (why := catalog.misfit(entry.key, key))}
    listed, page, pages = cut(sorted(adapters, key=lambda entry: entry.key in unfit), page)
    title = say("loras.title_for", model=one_line(model.name)) if model else say("loras.title")
    embed = discord.Embed(title=title, colour=BLURPLE)
    if not adapters:
        embed.description = say("loras.empty")
    for entry in listed:
        facts = catalog.facts(entry.key) or AdapterFacts()
        why = unfit.get(entry.key)
        weight = say("loras.weight", weight=f"{entry.default_weight:g}")
        above = [" · ".join([code(entry.key), weight, *kind(say, facts)])]
        above += [one_line(misfit_mark(say, entry, why, catalog, nsfw=nsfw))] if why else []
        below = []
        if entry.trigger_words:
            below.append(say("loras.triggers", words=codes(entry.trigger_words, WORDS_MAX)))
        elif facts.candidates and not why:
            below.append(say("loras.suggested", words=codes(facts.candidates, WORDS_MAX)))
        _add(embed, entry.name, above, entry.description, below)
    _sign(embed, say, say("loras.hint"), page, pages)
    return embed, page, pages


def embeddings_page(
    say: Say, embeddings: Sequence[EmbeddingEntry], page: int, *, catalog: Catalog
) -> tuple[discord.Embed, int, int]:
    """catalog: has the facts read from their files."""
    listed, page, pages = cut(embeddings, page)
    embed = discord.Embed(title=say("embeddings.title"), colour=BLURPLE)
    if not embeddings:
        embed.description = say("embeddings.empty")
    for entry in listed:
        facts = catalog.embeddings.facts.get(entry.key) or EmbeddingFacts()
        size = [say("embeddings.vectors", count=facts.vectors)] if facts.vectors else []
        above = " · ".join(
            [code(f"embedding:{entry.key}"), *size, *filter(None, [one_line(facts.base)])]
        )
        others = [word for word in entry.words if word.casefold() != entry.key]
        below = [say("embeddings.words", words=codes(others, WORDS_MAX))] if others else []
        _add(embed, entry.name, [above], entry.description, below)
    _sign(embed, say, say("embeddings.hint"), page, pages)
    return embed, page, pages


def show_reading(embed: discord.Embed, say: Say, catalog: Catalog) -> None:
    """Say on a page how many model files have been read, if some have not."""
    if catalog.unread:
        read = say("pages.reading", read=catalog.files_read, files=catalog.files)
        embed.description = f"-# {read}"


def misfit_mark(say: Say, entry: AdapterEntry, why: Misfit, catalog: Catalog, *, nsfw: bool) -> str:
    """A few words on why a LoRA does not fit. nsfw: as in `loras_page`."""
    if why.kind == "models":
        models = ", ".join(nameable(catalog.kept_to(entry.key), catalog, nsfw=nsfw))
        return say("loras.other_model", models=models) if models else say("loras.misfit")
    if why.kind == "base":
        return say("loras.other_base", base=why.found)
    return say("loras.unsupported", family=why.found)


def kind(say: Say, facts: AdapterFacts) -> list[str]:
    """Its algorithm, rank and base model, as far as the file tells."""
    family = [] if facts.algorithm == UNKNOWN else [facts.algorithm]
    rank = [] if facts.rank is None else [say("loras.rank", rank=facts.rank)]
    return [*family, *rank, *filter(None, [facts.base])]


def _add(
    embed: discord.Embed,
    name: str,
    above: Sequence[str],
    description: str,
    below: Sequence[str],
) -> None:
    """Add a field of at most VALUE_MAX characters; the description is cut first."""
    above = [cut_off(line, LINE_MAX) for line in above]
    room = VALUE_MAX - sum(len(line) + 1 for line in (*above, *below))
    lines = [*above, shown(description, room) if room > 0 else "", *below]
    value = "\n".join(line for line in lines if line)
    embed.add_field(name=one_line(name, LINE_MAX), value=value, inline=False)


def _sign(embed: discord.Embed, say: Say, hint: str, page: int, pages: int) -> None:
    counter = say("pages.page", page=page + 1, pages=pages)
    embed.set_footer(text=f"{hint} · {counter}" if pages > 1 else hint)
