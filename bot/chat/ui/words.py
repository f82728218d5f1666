"""Lists of blocked words, as those who keep them see them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.chat.ui.markdown import CONTENT_MAX, code, seen, shortened
from bot.moderation.word_list import Action, Blocked, as_typed
from bot.moderation.words import Finding
from bot.texts.language import Say


@dataclass(frozen=True, slots=True)
class WordsPage:
    """text: of the message. file: all of the list, where it does not fit into that."""

    text: str
    file: str | None = None


def action_text(say: Say, action: Action) -> str:
    return say(f"words.action.{action}")


def word_list(say: Say, entries: Sequence[Blocked], in_file: Sequence[Blocked] = ()) -> WordsPage:
    """entries: added by command. in_file: of the owner's file."""
    if not entries and not in_file:
        return WordsPage(say("words.panel.none"))
    lines, plain = [], []
    for title, listed in (("words.panel.title", entries), ("words.panel.file", in_file)):
        if listed:
            lines.append(say(title))
            plain.append(say(title))
        lines += [f"- {_entry(say, entry)}" for entry in listed]
        plain += [f"{seen(as_typed(each))}\t{action_text(say, each.action)}" for each in listed]
    text = "\n".join(lines)
    if len(text) <= CONTENT_MAX:
        return WordsPage(text)
    return WordsPage(say("words.panel.more"), "\n".join(plain) + "\n")


def found_words(say: Say, finding: Finding, *, owner: bool) -> str:
    """What the lists find in a text. owner: whether the owner's list may be seen."""
    lines = [f"- {_entry(say, entry)}" for entry in finding.of_server]
    if owner:
        lines += [f"- {_entry(say, entry)}" for entry in finding.of_owner]
    else:
        hidden = say("words.panel.of_owner")
        actions = dict.fromkeys(entry.action for entry in finding.of_owner)
        lines += [f"- {hidden} – {action_text(say, action)}" for action in actions]
    if not lines:
        return say("words.panel.nothing")
    text = "\n".join([say("words.panel.found"), *lines])
    return shortened(text, CONTENT_MAX)


def _entry(say: Say, entry: Blocked) -> str:
    return f"{code(as_typed(entry))} – {action_text(say, entry.action)}"
