"""What `imagine` says of a request that is refused, in the command line's own terms."""

from pathlib import Path
from typing import Any

import pytest

from bot.cli import imagine as imagine_module
from bot.cli.arguments import parser
from bot.cli.asked import Asked
from bot.cli.result import BAD_REQUEST
from bot.cli.subcommands import server_of
from bot.errors import InvalidRequest, Refused, UserError
from bot.request import Draft
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


async def test_files_to_follow_are_counted_in_the_order_typed(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for file in files:
        file.write_bytes(file.name.encode())
    typed = [word for file in files for word in ("--control-image", str(file))]
    options = parser().parse_args(["imagine", "a fox", "--control", "canny, depth", *typed[:4]])
    asked = await Asked.read(options)
    assert isinstance(asked.draft, Draft)
    assert asked.draft.control == "canny, depth"
    assert asked.pictures == {"control_image": b"a.png", "control_image2": b"b.png"}
    with pytest.raises(InvalidRequest) as caught:
        await Asked.read(parser().parse_args(["imagine", "a fox", *typed]))
    assert (caught.value.code, caught.value.params["value"]) == ("control.many_images", 3)
