"""`main.py keys`: the keys of workers, which can do nothing else."""

import argparse
from pathlib import Path

import pytest

from bot.cli.keys import DONE, NOT_DONE, keys
from bot.cli.subcommands import keys as subcommand
from bot.settings import Settings
from bot.store import Store


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    subcommand.add_to(parser.add_subparsers())
    return parser.parse_args(["keys", *given])


async def run(home: Path, *given: str) -> int:
    return await keys(options(*given), Settings.model_validate({"IMAGEN_DATA_DIR": home}))


async def test_a_key_for_a_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, "add", "pc", "--worker") == DONE
    secret = capsys.readouterr().out.strip()
    assert await run(tmp_path, "add", "ada", "--nsfw") == DONE
    capsys.readouterr()
    assert await run(tmp_path, "list") == DONE
    pc, ada = capsys.readouterr().out.splitlines()
    assert pc.endswith(", worker")
    assert ada.endswith(", nsfw")
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        found = await store.api_keys.find(secret)
    assert found is not None
    assert (found.name, found.worker) == ("pc", True)


@pytest.mark.parametrize(
    "more", [("--admin",), ("--nsfw",), ("--rate", "5"), ("--daily", "5"), ("--priority", "5")]
)
async def test_that_may_do_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    assert await run(tmp_path, "add", "pc", "--worker", *more) == NOT_DONE
    assert f"leave out {more[0]}" in capsys.readouterr().err
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        assert await store.api_keys.all() == []
