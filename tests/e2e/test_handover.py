"""`imagine` beside a running bot: the bot generates, and the command line waits for it."""

import asyncio
import io
import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.handover import VERSION
from playground import Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import ROOT, Bot, Home, ImpatientBot, call
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets"),
    pytest.mark.long,
]
LIMITED = {"IMAGEN_ALLOWED_ROLES": "1", "IMAGEN_DAILY_PICTURES": "1"}
"""Limits that no command line meets."""


def imagine(home: Home, *arguments: str) -> asyncio.Task[tuple[int, str, str]]:
    return asyncio.create_task(call(home, "imagine", CANARY, "--seed", "9", *arguments))


async def say(home: Home, *lines: bytes) -> list[dict[str, Any]]:
    """Write `lines` to the bot's socket; returns its answers until it closes the connection."""
    reader, writer = await asyncio.open_unix_connection(home.data_dir / "bot.sock")
    for line in lines:
        writer.write(line)
    writer.write_eof()
    answers = [json.loads(line) async for line in reader]
    writer.close()
    return answers


async def test_the_bot_generates_what_the_command_line_asks_for(home: Home, tmp_path: Path) -> None:
    alone = json.loads((await imagine(home, "--steps", "2", "--json"))[1])
    picture = tmp_path / "sun.png"
    Image.new("RGB", (64, 64), "yellow").save(picture)
    async with Playground() as playground, Bot(home, playground, **LIMITED) as bot:
        code, out, err = await imagine(home, "--steps", "2", "--json", "--out", str(tmp_path / "o"))
        assert (code, err) == (0, "")
        beside = json.loads(out)
        assert f"job {beside['job_id']}: attempt 1" in bot.log
        assert beside["images"][0]["sha256"] == alone["images"][0]["sha256"]
        assert Path(beside["images"][0]["path"]).parent == tmp_path / "o"
        assert sorted(beside) == sorted(alone)

        code, out, err = await imagine(home, "--steps", "2", "--image", str(picture))
        assert (code, err, "seed 9" in out) == (0, "", True)
        mask = tmp_path / "mask.png"
        Image.linear_gradient("L").resize((64, 64)).save(mask)
        part = ("--image", str(picture), "--mask", str(mask), "--extend", "left 25%", "--json")
        code, out, err = await imagine(home, "--steps", "2", *part)
        assert (code, err) == (0, "")
        kept = json.loads(out)["recipe"]["request"]["init_image"]
        assert kept["box"] == {"left": 16, "top": 0, "width": 64, "height": 64}
        assert kept["mask"] != kept["sha256"]
        follow = ("--control", "canny:0.8, canny until 50%", "--control-image", str(picture))
        code, out, err = await imagine(
            home, "--steps", "2", *follow, "--control-image", str(mask), "--json"
        )
        assert (code, err) == (0, "")
        first, second = json.loads(out)["recipe"]["request"]["controls"]
        assert (first["weight"], second["end"]) == (0.8, 0.5)
        assert first["sha256"] != second["sha256"]
        for wrong, sentence in (
            (("--steps", "1000"), "steps"),
            (("--model", "nope"), "nope"),
            (("--image", str(tmp_path / "absent.png")), "absent.png"),
        ):
            code, out, err = await imagine(home, *wrong)
            assert (code, out, sentence in err) == (2, "", True)
        assert home.states() == ["delivered"] * 5
        assert CANARY not in bot.log
        assert playground.messages(playground.channel) == []
        assert await bot.end() == 0
    assert not (home.data_dir / "bot.sock").exists()


@pytest.mark.long
async def test_ctrl_c_cancels_and_a_kill_leaves_the_job_behind(home: Home) -> None:
    async with Playground() as playground, ImpatientBot(home, playground) as bot:
        for number, steps, state in (
            (signal.SIGINT, "100", "cancelled"),
            (signal.SIGKILL, "3", "delivered"),
        ):
            line = await asyncio.create_subprocess_exec(
                *(sys.executable, str(ROOT / "main.py"), "imagine", CANARY, "--steps", steps),
                cwd=home.folder,
                env=home.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            await until(lambda: home.states()[-1:] == ["running"])
            line.send_signal(number)
            out, err = await line.communicate()
            await until(lambda state=state: home.states()[-1] == state)  # type: ignore[misc]
            if number is signal.SIGINT:
                assert (line.returncode, out) == (1, b"")
                assert b"ancelled" in err
        assert "traceback" not in bot.log.lower()


@pytest.mark.long
async def test_it_waits_for_a_bot_that_is_restarted(home: Home) -> None:
    async with Playground() as playground, ImpatientBot(home, playground) as bot:
        line = imagine(home, "--steps", "100", "--size", "256x256")
        await until(lambda: home.states() == ["running"])
        bot.send(signal.SIGKILL)
        await bot.wait()
        await bot.start()
        code, out, _ = await line
        assert (code, "seed 9" in out) == (0, True)
        assert home.rows("SELECT state, attempt FROM jobs") == [("delivered", 2)]


async def test_what_is_no_conversation_is_dropped(home: Home) -> None:
    png = io.BytesIO()
    Image.new("RGB", (64, 64)).save(png, "PNG")
    cut = png.getvalue()[:60]
    job: dict[str, Any] = {"version": VERSION, "kind": "imagine", "draft": {"prompt": CANARY}}
    async with Playground() as playground, Bot(home, playground) as bot:
        mode = stat.S_IMODE((home.data_dir / "bot.sock").stat().st_mode)
        assert mode == 0o600
        ours = await painted(playground.user("ada"), prompt=CANARY, seed=10)
        assert ours.attachments
        await until(lambda: home.states() == ["delivered"])
        [(job_id,)] = home.rows("SELECT id FROM jobs")
        for message in (
            b"",
            b"\n",
            b"{\n",
            b"[]\n",
            b"\xff\n",
            b"[" * 100_000 + b"\n",
            {**job, "version": VERSION + 1, "pictures": {}},
            {"version": VERSION},
            {**job, "draft": {"prompt": 5}, "pictures": {}},
            {**job, "kind": "paint", "pictures": {}},
            {**job, "pictures": 5},
            {**job, "pictures": {"image": -1}},
            {**job, "pictures": {"image": "?"}},
            {**job, "pictures": {"nope": 5}},
            {"version": VERSION, "follow": "unknown"},
            {"version": VERSION, "follow": job_id},  # of a member
        ):
            line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
            assert await say(home, line) == []
        broken = {**job, "pictures": {"image": len(cut)}}
        line = json.dumps(broken).encode() + b"\n"
        assert await say(home, line) == [{"send": True}]
        assert await say(home, line, cut[:-1]) == [{"send": True}]
        [_, refused] = await say(home, line, cut)
        assert "image" in refused["refused"]
        assert home.states() == ["delivered"]
        assert CANARY not in bot.log
        assert "traceback" not in bot.log.lower()

        # One that was left behind may be followed later, and is over by then.
        code, out, _ = await imagine(home, "--steps", "2", "--json")
        job_id = json.loads(out)["job_id"]
        follow = json.dumps({"version": VERSION, "follow": job_id}).encode() + b"\n"
        assert await say(home, follow) == [{"accepted": job_id}, {"ended": True}]
        assert code == 0


@pytest.mark.long
async def test_a_socket_left_by_a_killed_bot_is_no_obstacle(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        bot.send(signal.SIGKILL)
        await bot.wait()
        assert (home.data_dir / "bot.sock").exists()
        code, out, err = await imagine(home, "--steps", "2", "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["status"] == "done"
        await bot.start()
        assert (await imagine(home, "--steps", "2"))[0] == 0
