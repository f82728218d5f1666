"""What `imagine` says of a request that is refused, in the command line's own terms."""

from typing import Any

import pytest

from bot.cli import imagine as imagine_module
from bot.cli.arguments import parser
from bot.cli.result import BAD_REQUEST
from bot.cli.subcommands import server_of
from bot.errors import InvalidRequest, Refused, UserError
from bot.settings import Settings

FIELDS = {"field": "reference", "model": "klein", "family": "FLUX.2 klein"}
SAID = "but it can edit one: use --edit."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidRequest("reference", "family.edits", model="klein", family="FLUX.2 klein"), SAID),
        (Refused("edit.none"), "Look for one with python main.py models."),
    ],
)
async def test_a_command_of_discord_is_named_as_it_is_typed_here(
    error: UserError,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(imagine_module, "_generate", refuse)
    monkeypatch.setattr(imagine_module, "stop_on_signals", lambda **_: None)
    options = parser().parse_args(["imagine", "a fox"])
    assert await imagine_module.imagine(options, Settings.model_construct()) == BAD_REQUEST
    assert capsys.readouterr().err.strip().endswith(said)


async def test_so_it_is_where_a_server_refuses() -> None:
    options = parser().parse_args(["imagine", "a fox", "--server", "http://127.0.0.1:1"])
    server = server_of(options, Settings.model_construct(key=None))
    assert server is not None
    body = {"code": "family.edits", "detail": "use /edit", **FIELDS}
    assert server._calls._sentence(body, "use /edit").endswith(SAID)
    await server.close()
