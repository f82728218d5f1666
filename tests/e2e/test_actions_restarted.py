"""Actions on results across restarts, and on results from before there were buttons."""

import signal
import sqlite3
from contextlib import closing

import pytest

from bot.store.migrating import MIGRATIONS, read_scripts
from playground import Playground
from tests.e2e.acting import forged, outcome
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import facts, job_of, parts
from tests.e2e.test_actions import posted, press, result
from tests.e2e.test_actions_attacked import ENTERED, QUICK, act, dialog, hidden_of, told
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def again(bot: Bot, number: signal.Signals) -> None:
    await bot.end(number)
    await bot.start()


@pytest.mark.long
async def test_a_restart_between_two_steps_changes_nothing(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        original = await painted(ada, **QUICK)
        hidden = await hidden_of(ada)
        await again(bot, signal.SIGTERM)
        opened = await press(ada, original, "edit")
        asked = await press(ada, original, "use")
        question = await dialog(ada, await painted(ada, **QUICK))
        report = await press(ada, original, "report")
        await again(bot, signal.SIGKILL)
        assert asked.message is not None
        wrong = await ada.submit(opened, {"more": "steps: many"})
        picked = await ada.select(
            asked.message, f"useas:{job_of(original)}", ["Paint over this image"]
        )
        await ada.submit(picked, {"more": "seed: 3"})
        third = await posted(playground, asked.message, original)
        assert "seed `3`" in facts(third)
        await ada.click(question, "Delete for good")
        await until(lambda: question.content == "Deleted.")
        assert "has been sent" in await told(await ada.submit(report, {"reason": "late"}))
        bot.settings["IMAGEN_BUTTONS"] = "requester"
        await again(bot, signal.SIGTERM)
        assert wrong.message is not None
        form = await ada.click(wrong.message, "Open the form again")
        assert "steps: many" in str(form.modal)
        await ada.submit(form, {"more": "seed: 8"})
        eighth = await posted(playground, wrong.message, original, after=third)
        assert "seed `8`" in facts(eighth)
        # From now on, only who asked may make something of it.
        bea = playground.user("bea")
        for action in ("same", "new", "edit", "use", "useas", "editform", "menu again"):
            call = forged(
                playground, bea, original.channel, original, action, job_of(original), **ENTERED
            )
            assert f"Only <@{ada.id}>, who requested this image" in await outcome(call)
        for action in ("details", "report"):
            assert "who requested this image, can do that here" not in await act(
                playground, bea, original, action
            )
        assert "Everyone here can see it now" in await act(playground, ada, hidden, "publish")
        await bot.end()
        assert "Traceback" not in bot.log
        assert "incident" not in bot.log
        assert playground.violations == []


def as_before(home: Home, version: int) -> None:
    """Take the database back to an earlier schema, with the rows that it would have had."""
    path, old = home.database, home.database.with_suffix(".old")
    with closing(sqlite3.connect(old)) as database:
        for script in read_scripts(MIGRATIONS)[:version]:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("ATTACH ? AS new", (str(path),))
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        for (table,) in database.execute(tables).fetchall():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            names = ", ".join(columns)
            database.execute(f"DELETE FROM {table}")
            database.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new.{table}")
        database.commit()
    for file in home.data_dir.glob(f"{path.name}*"):
        file.unlink()
    old.rename(path)


@pytest.mark.long
async def test_results_from_before_there_were_buttons_serve_as_well(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada, bea = playground.user("ada"), playground.user("bea")
        original = await painted(ada, **QUICK, count=2)
        doomed = await painted(ada, **QUICK)
        await bot.end()
        as_before(home, 10)
        for message in (original, doomed):
            [first, *_] = message.attachments
            message.components.clear()
            message.flags = 0
            message.embeds[:] = [
                {"type": "rich", "title": CANARY, "image": {"url": first.url}, "fields": []}
            ]
        await bot.start()
        [(version,)] = home.rows("PRAGMA user_version")
        assert version == len(read_scripts(MIGRATIONS))
        await bea.react(original, "🎲")
        other = await playground.wait_message(
            lambda m: m.reference == original.id and bool(m.attachments)
        )
        assert other.mentions == {bea.id}
        same = await result(await ada.context_menu("Again", original))
        assert "Identical to the original" in same.text
        form = await ada.context_menu("Edit", original)
        assert "seed `9`" in facts(await result(await ada.submit(form, {"more": "seed: 9"})))
        asked = await ada.context_menu("Use as image", original)
        assert asked.message is not None
        [select] = [part for part in parts(asked.message) if part["type"] == 3]
        opened = await ada.select(asked.message, select["custom_id"], ["Paint over image 2"])
        await ada.submit(opened, {"more": "seed: 9"})
        assert "from an image" in facts(await posted(playground, asked.message, original))
        # A moderator's deletion leaves a note instead, which pings nobody.
        playground.grant(playground.channel, "manage_messages", account=bea)
        asked = await bea.context_menu("Delete", doomed)
        assert asked.message is not None
        await bea.click(asked.message, "Delete for good")
        await until(lambda: "deleted an image" in doomed.text)
        assert doomed.attachments == []
        assert CANARY not in doomed.text
        assert doomed.mentions == set()
        await bot.end()
        assert "Traceback" not in bot.log
        assert "incident" not in bot.log
        assert playground.violations == []
