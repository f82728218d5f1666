"""An empty store, the lists of blocked words in it, and what screens jobs by them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.levels import Levels, admitted_as_it_is
from bot.moderation.owner_file import OwnerFile
from bot.moderation.screening import Screening
from bot.moderation.words import Words
from bot.store import Store
from tests.moderation.screened import CATALOG


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        yield store


@pytest.fixture
def words(store: Store, tmp_path: Path) -> Words:
    return Words(store, lambda: CATALOG, OwnerFile(tmp_path / "blocked_words.txt"))


@pytest.fixture
def screening(store: Store, words: Words) -> Screening:
    return Screening(admitted_as_it_is, words, Levels(store), store, lambda: CATALOG)
