"""Commands are mentioned by the ID that they have where the sentence is read."""

from pathlib import Path
from typing import Any, cast

import pytest

from bot.chat.mentions import Mentions
from bot.chat.sync import known_ids, register
from bot.store import Store
from bot.texts.language import Texts
from tests.chat.test_sync import Tree

ONE, TWO = "discord:1", "discord:2"


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (ONE, "</admin status:11> </help:5>"),
        (TWO, "</admin status:12> </help:5>"),
        ("discord:3", "/admin status </help:5>"),
        (None, "/admin status </help:5>"),
    ],
)
def test_each_server_has_its_own(server: str | None, told: str) -> None:
    mentions = Mentions()
    texts = Texts({"en": {"both": "{/admin status} {/help}"}}).mentioning(mentions)
    say = texts.speaker("en", server)
    assert say("both") == "/admin status /help"
    mentions.learn({"help": 5}, {ONE: {"admin": 11}, TWO: {"admin": 12}})
    assert say("both") == told


async def test_the_ids_of_each_registration_are_kept(tmp_path: Path) -> None:
    tree = Tree(_1="admin", _2="admin")
    for server in (1, 2):
        [command] = tree.commands[server]
        command.id = 10 + server
    async with Store.open(tmp_path / "x.sqlite3") as store:
        await register(cast("Any", tree), store, None, (1, 2))
        known = [await known_ids(cast("Any", tree), store, scope) for scope in (None, 1, 2)]
    assert known == [{"imagine": 1}, {"admin": 11}, {"admin": 12}]
