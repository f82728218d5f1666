"""Lists of blocked words, and what they find."""

from bot.moderation.word_list import Blocked, WordList
from catalog import WildcardFile, Wildcards

WILDCARDS = Wildcards(
    {
        "plain": WildcardFile(("red", "green")),
        "vowels": WildcardFile(("a", "e")),
        "lines": WildcardFile(("a fox", "a {zork|frog} in the rain")),
        "more": WildcardFile(("__lines__", "nothing")),
        "loop": WildcardFile(("__loop__", "z__loop__")),
    }
)


def listed(*texts: str) -> WordList:
    """Words, and between slashes patterns."""
    return WordList(
        [
            Blocked(text[1:-1], "pattern") if text.startswith("/") else Blocked(text)
            for text in texts
        ]
    )


def hits(words: WordList, text: str) -> list[str]:
    """What is found in a text from which nothing is drawn."""
    return [entry.text for entry in words.find([text], [], WILDCARDS)]


def drawn_hits(words: WordList, template: str) -> list[str]:
    """What is found in what a template may turn out as."""
    return [entry.text for entry in words.find([], [template], WILDCARDS)]
