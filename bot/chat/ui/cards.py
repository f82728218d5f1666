"""What a page of the catalog says of one model, LoRA or embedding."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bot.chat.ui.markdown import CODE_SHOWN, code, codes, cut_off, one_line, shown
from bot.chat.ui.pages import kind, misfit_mark
from bot.texts.language import Say
from catalog import (
    Abilities,
    AdapterEntry,
    AdapterFacts,
    Catalog,
    EmbeddingEntry,
    EmbeddingFacts,
    Misfit,
    ModelEntry,
    abilities,
)
from catalog.abilities import surely

Entry = ModelEntry | AdapterEntry | EmbeddingEntry

CARD_MAX: Final = 660
"""Characters; five of them stay under the 4,000 of one message."""
WORDS_MAX: Final = 330
"""Of CARD_MAX, for trigger words, with the label before them."""
LINE_MAX: Final = 160
"""For each line but the description and the trigger words."""
LINE_MIN: Final = 20
"""Room below which a line is left out."""
TAGS_SHOWN: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of entries beside the catalog.

    states: remarks on the files of models, by key. loaded: keys of what is on a GPU. default: key
    of the model that is used without a choice. here, mine: in how many jobs of the last 30 days
    each was used in the server and by the person.
    """

    states: dict[str, str] = field(default_factory=dict)
    loaded: Collection[str] = ()
    default: str = ""
    here: dict[str, int] = field(default_factory=dict)
    mine: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Card:
    """key, name: of the entry, the name as plain text. hint: a few words that describe it."""

    key: str
    name: str
    text: str
    hint: str = ""


def card_of(
    say: Say, entry: Entry, known: Known, why: Misfit | None, catalog: Catalog, *, nsfw: bool
) -> Card:
    """why: a LoRA does not fit the chosen model; None if it does. nsfw: see `misfit_mark`,
    and `abilities`."""
    if isinstance(entry, ModelEntry):
        return _model_card(say, entry, known, abilities(entry, catalog, nsfw=nsfw))
    if isinstance(entry, AdapterEntry):
        return _adapter_card(say, entry, known, why=why, catalog=catalog, nsfw=nsfw)
    facts = catalog.embeddings.facts.get(entry.key) or EmbeddingFacts()
    return _embedding_card(say, entry, known, facts=facts)


def _model_card(say: Say, entry: ModelEntry, known: Known, able: Abilities | None) -> Card:
    """able: None for one whose file may be of another family, or of none."""
    marks = [say("models.default")] if entry.key == known.default else []
    marks += [say("models.loaded")] if entry.key in known.loaded else []
    marks += [known.states[entry.key]] if entry.key in known.states else []
    native = say(
        "models.native",
        width=entry.size[0],
        height=entry.size[1],
        steps=entry.steps.default,
        guidance=entry.guidance.default,
    )
    key = " · ".join([code(entry.key), *marks])
    if able is None:
        return _card(say, entry, [key], lambda room: "", known)
    above = [key, *_abilities(say, entry, able)]
    licence = say("models.licence", family=entry.family.name, licence=entry.family.licence)
    return _card(say, entry, above, lambda room: f"-# {native}", known, licence)


def _abilities(say: Say, entry: ModelEntry, able: Abilities) -> list[str]:
    """What kind of model it is and what it does not take; then what it edits, and its LoRAs."""
    name = f"{entry.family.name} ({able.variant})" if able.variant else entry.family.name
    first = [name, say(f"models.speeds.{able.speed}")]
    lacks = [code(option) for option, takes in able.taken.items() if not takes]
    lacks += [] if able.brackets else [say("models.brackets")]
    first += [say("models.without", options=tuple(lacks))] if lacks else []
    second = [say("models.edits", count=able.edits)] if able.edits else []
    second += [say("models.loras", bases=surely(able.bases))] if able.bases else []
    return [" · ".join(line) for line in (first, second) if line]


def _adapter_card(
    say: Say,
    entry: AdapterEntry,
    known: Known,
    *,
    why: Misfit | None,
    catalog: Catalog,
    nsfw: bool,
) -> Card:
    facts = catalog.facts(entry.key) or AdapterFacts()
    weight = say("loras.weight", weight=f"{entry.default_weight:g}")
    marks = [say("models.loaded")] if entry.key in known.loaded else []
    above = [" · ".join([code(entry.key), weight, *kind(say, facts), *marks])]
    above += [one_line(misfit_mark(say, entry, why, catalog, nsfw=nsfw))] if why else []
    if entry.trigger_words:
        words = partial(_words, say, "loras.triggers", entry.trigger_words, copyable=True)
        return _card(say, entry, above, words, known)
    candidates = () if why else facts.candidates
    return _card(say, entry, above, partial(_words, say, "loras.suggested", candidates), known)


def _embedding_card(
    say: Say, entry: EmbeddingEntry, known: Known, *, facts: EmbeddingFacts
) -> Card:
    size = [say("embeddings.vectors", count=facts.vectors)] if facts.vectors else []
    name = code(f"embedding:{entry.key}")
    above = " · ".join([name, *size, *filter(None, [one_line(facts.base)])])
    others = [word for word in entry.words if word.casefold() != entry.key]
    return _card(say, entry, [above], partial(_words, say, "embeddings.words", others), known)


def _words(say: Say, label: str, words: Sequence[str], room: int, *, copyable: bool = False) -> str:
    """A line with as many of them as fit into `room` characters; "" for none.

    copyable: all of them in one code span, which is copied at once, if they are not too long.
    """
    if not words:
        return ""
    together = ", ".join(words)
    if copyable and len(together) <= CODE_SHOWN:
        return say(label, words=code(together))
    return say(label, words=codes(words, min(room, WORDS_MAX) - len(say(label, words="")) - 3))


def _card(
    say: Say,
    entry: Entry,
    above: Sequence[str],
    below: Callable[[int], str],
    known: Known,
    licence: str = "",
) -> Card:
    """At most CARD_MAX characters; the description is cut first, then the small print.

    below: returns a line that is more important than both, of that many characters.
    licence: what to say where the entry has none.
    """
    head = f"### {one_line(entry.name, LINE_MAX - 4)}"
    lines = [head, *(cut_off(line, LINE_MAX) for line in above)]
    room = CARD_MAX - sum(len(line) + 1 for line in lines)
    last = []
    for line in (below(room - 1), *_small(say, entry, known, licence)):
        if line and room > LINE_MIN:
            last.append(cut_off(line, room - 1))
            room -= len(last[-1]) + 1
    if room > LINE_MIN:
        lines.append(shown(entry.description, room - 1))
    text = "\n".join(line for line in (*lines, *last) if line)
    return Card(entry.key, entry.name, text, entry.description)


def _small(say: Say, entry: Entry, known: Known, licence: str) -> list[str]:
    """Tags, licence and use, in small print."""
    tags = ", ".join(entry.tags[:TAGS_SHOWN])
    said = [one_line(tags, LINE_MAX // 2)] if tags else []
    licence = entry.licence or licence
    said += [one_line(licence, LINE_MAX // 2)] if licence else []
    used = [
        say(label, count=count)
        for label, count in (
            ("browse.used_here", known.here.get(entry.key, 0)),
            ("browse.used_by_you", known.mine.get(entry.key, 0)),
        )
        if count
    ]
    lines = [" · ".join(said), " · ".join(used)]
    return [f"-# {cut_off(line, LINE_MAX)}" for line in lines if line]
