"""Finding the result that a message shows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bot.store import Store
from cogs.results import Results

ACKNOWLEDGED_WITHIN = 3.0


async def test_only_a_message_of_ours_is_waited_for_and_not_for_long(tmp_path: Path) -> None:
    """It may show a result that is being recorded; meanwhile Discord waits for an answer."""
    waited: list[float] = []

    class Posting:
        async def settled(self, within: float) -> None:
            waited.append(within)

    bot, person = object(), object()
    interaction = cast("Any", SimpleNamespace(client=SimpleNamespace(user=bot)))
    async with Store.open(tmp_path / "x.sqlite3") as store:
        results = Results(
            store=store,
            delivery=cast("Any", Posting()),
            texts=cast("Any", None),
            catalog=cast("Any", None),
            queue=cast("Any", None),
            only_requester=False,
        )
        for author in (person, bot):
            message = cast("Any", SimpleNamespace(id=1, author=author))
            assert await results.shown_by(interaction, message) is None
    assert len(waited) == 1
    assert waited[0] < ACKNOWLEDGED_WITHIN / 2
