"""Forms that were sent back: kept for a day, for the person who filled them in."""

from unittest.mock import patch

from bot.store import Store, now_ms
from bot.store.forms import KEPT_MS, Entered

ENTERED = Entered("editform:job", {"prompt": "a fox"})


async def test_a_form_is_found_for_a_day_by_its_person_alone(store: Store) -> None:
    form_id = await store.forms.keep("discord:7", ENTERED)
    assert await store.forms.find(form_id, "discord:7") == ENTERED
    assert await store.forms.find(form_id, "discord:8") is None
    # Nothing has been kept since, so it is still in the database.
    with patch("bot.store.forms.now_ms", lambda: now_ms() + KEPT_MS + 60_000):
        assert await store.forms.find(form_id, "discord:7") is None


async def test_old_forms_are_forgotten_and_only_those(store: Store) -> None:
    old = await store.forms.keep("discord:7", ENTERED)
    with patch("bot.store.forms.now_ms", lambda: now_ms() + KEPT_MS + 60_000):
        new = await store.forms.keep("discord:7", ENTERED)
        await store.forms.drop_old()
    assert await store.forms.find(old, "discord:7") is None
    assert await store.forms.find(new, "discord:7") == ENTERED
