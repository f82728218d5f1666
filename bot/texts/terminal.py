"""What a terminal has in place of the commands that sentences name."""

from typing import Final

from bot.texts.language import SLASH, Texts

_TYPED: Final = {
    "edit": "--edit",
    **{
        name: f"python main.py {name}"
        for name in ("models", "loras", "embeddings", "compare", "upscale", "describe")
    },
}


def for_terminal(texts: Texts) -> Texts:
    """The same, with what is typed in a terminal for the names of commands, where there is that."""
    return texts.mentioning(_typed)


def _typed(name: str, /, server: str | None = None) -> str:
    return _TYPED.get(name, f"{SLASH}{name}")
