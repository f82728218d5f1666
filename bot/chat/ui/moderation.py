"""What moderators are told."""

from collections.abc import Sequence
from typing import Final

from bot.chat.ui.acts import person
from bot.chat.ui.markdown import CONTENT_MAX, code, cut_off
from bot.store import Block
from bot.texts.language import Say

LISTED: Final = 30


def blocks_text(say: Say, blocks: Sequence[Block]) -> str:
    """Who is blocked, by whom and since when."""
    if not blocks:
        return say("moderate.none")
    lines = [say("moderate.list", count=len(blocks))]
    for block in blocks[:LISTED]:
        blocked = block.blocked.rpartition(":")[2]
        lines.append(
            say(
                "moderate.line",
                blocked=code(blocked) if block.kind == "server" else f"<@{blocked}>",
                actor=person(say, block.actor),
                when=block.at // 1000,
            )
        )
    return cut_off("\n".join(lines), CONTENT_MAX)
