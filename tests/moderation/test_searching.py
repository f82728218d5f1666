"""Where many ask at once, their texts are searched one after the other, and quickly."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from bot.moderation.owner_file import OwnerFile
from bot.moderation.texts import Checked
from bot.moderation.words import Finding, Words
from bot.store import Store
from catalog import Catalog

FOX = Checked(("a fox",))
PATIENCE = 20
"""Seconds."""


async def test_one_search_follows_the_other_without_the_event_loop(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy loop would make each of those who wait wait for a turn more."""
    words = Words(store, lambda: Catalog({}, {}, ""), OwnerFile(tmp_path / "blocked_words.txt"))
    await words.find(FOX, None)  # the list is known by now
    first, go_on, second = threading.Event(), threading.Event(), threading.Event()

    def find(*_: Any) -> Finding:
        if first.is_set():
            second.set()
        else:
            first.set()
            go_on.wait(PATIENCE)
        return Finding()

    monkeypatch.setattr(words, "_find", find)
    both = [asyncio.create_task(words.find(FOX, None)) for _ in range(2)]
    await asyncio.to_thread(first.wait, PATIENCE)
    go_on.set()
    assert second.wait(PATIENCE)  # the event loop stands still meanwhile
    await asyncio.gather(*both)
