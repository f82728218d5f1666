"""Which entries the owner has switched off."""

import asyncio
from pathlib import Path
from typing import Any, cast, get_args

from bot.errors import Refused
from bot.store import Store
from catalog import Catalog, EntryKind, ModelEntry, SwitchedOff
from catalog.switching import without
from cogs.admin.catalog import KINDS, Switches

MODELS = {key: ModelEntry(key=key, name=key, path=f"org/{key}") for key in ("one", "two")}


class Live:
    """Stands for a LiveCatalog."""

    def __init__(self) -> None:
        self.current = Catalog(MODELS, {}, "one")

    def switch_off(self, entries: SwitchedOff) -> None:
        self.current = without(Catalog(MODELS, {}, "one"), entries)


def test_every_kind_of_entry_can_be_switched_off() -> None:
    assert {choice.value for choice in KINDS} == {*get_args(EntryKind)}


async def test_of_the_last_two_models_one_stays(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        switches = Switches(cast("Any", Live()), store)
        ended = await asyncio.gather(
            *(switches.disable("model", key, "discord:1") for key in MODELS),
            return_exceptions=True,
        )
        [refused] = [error for error in ended if error is not None]
        assert isinstance(refused, Refused)
        assert refused.code == "admin.entry.last"
        assert len(await switches.off()) == 1
