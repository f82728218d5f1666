"""The command line as a client of a running server."""

import asyncio
import json
import os
import pty
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from tests.e2e.conftest import CANARY
from tests.e2e.home import ROOT, Home, call
from tests.e2e.processes import start
from tests.e2e.server import Server
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("remote"), models_dir)
    async with Server(home) as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log


@asynccontextmanager
async def answering(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that is not ours."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"


def saying(answer: str) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.replace("\n", "\r\n").encode())
        await writer.drain()

    return talk


def without_its_own(printed: str) -> dict[str, Any]:
    """The JSON object without what differs between two jobs."""
    said = json.loads(printed)
    assert list(said) == ["job_id", "status", "seconds", "images", "recipe", "warnings", "error"]
    for image in said["images"]:
        path = Path(image.pop("path"))
        assert path.is_absolute()
        image["name"] = path.name
    return {key: value for key, value in said.items() if key not in ("job_id", "seconds")}


async def test_the_result_is_the_same_as_here(server: Server, home: Home, tmp_path: Path) -> None:
    picture = tmp_path / "yellow.png"
    Image.new("RGB", (80, 64), "yellow").save(picture)
    options = (
        *("--model", "demo", "--negative", "noise", "--lora", "frost:0.5:0.25", "--lora", "ember"),
        *("--steps", "4", "--guidance", "8.5", "--seed", "42", "--count", "2"),
        *("--scheduler", "Euler", "--image", str(picture), "--strength", "0.7", "--hires", "1.25"),
    )
    code, here, err = await call(home, "imagine", CANARY, *options, "--json")
    assert (code, err) == (0, "")
    out = tmp_path / "out"
    there_options = (*options, "--server", server.url, "--out", str(out), "--json")
    code, there, err = await call(home, "imagine", CANARY, *there_options)
    assert (code, err) == (0, "")
    assert without_its_own(there) == without_its_own(here)
    assert {file.name for file in out.iterdir()} == {"demo-42-1.png", "demo-43-2.png"}


async def test_without_a_folder_images_are_saved_where_one_is(server: Server, home: Home) -> None:
    options = ("--steps", "2", "--seed", "7", "--server", server.url)
    code, out, err = await call(home, "imagine", CANARY, *options)
    saved = home.folder / "demo-7.png"
    assert (code, err) == (0, "")
    assert out.startswith(f"{saved}  model demo  seed 7  ")
    assert out.endswith(" s\n")
    first = saved.read_bytes()
    # The same image again is no other file; a different one gets a name of its own.
    code, again, _ = await call(home, "imagine", CANARY, *options)
    assert (code, again.partition("  ")[0]) == (0, str(saved))
    code, other, _ = await call(home, "imagine", CANARY, *options, "--guidance", "2")
    assert code == 0
    assert other.partition("  ")[0] != str(saved)
    assert saved.read_bytes() == first
    # Nothing was painted here.
    assert not home.data_dir.exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--model", "pony-xl-v6"),
        ("--lora", "nope"),
        ("--guidance", "99"),
        ("--steps", "0"),
        ("--negative", "<lora:ember:1>"),
        ("--size", "64x70"),
        ("--seed", "-2"),
        ("--lora", "ember:much"),
        ("--image", "missing.png"),
        ("--image", __file__),
    ],
)
@pytest.mark.long
async def test_what_is_wrong_is_said_in_the_same_words(
    server: Server, home: Home, options: tuple[str, ...]
) -> None:
    here = await call(home, "imagine", CANARY, *options)
    there = await call(home, "imagine", CANARY, *options, "--server", server.url)
    assert there == here
    assert (here[0], here[1]) == (2, "")
    assert here[2]


@pytest.mark.parametrize("what", ["models", "loras", "embeddings"])
async def test_the_catalog_is_the_same_as_here(server: Server, home: Home, what: str) -> None:
    more = '[models.broken]\nname = "Broken"\npath = 5\n'
    for folder in (home.catalog_dir, server.home.catalog_dir):
        file = folder / "models.toml"
        if more not in file.read_text("utf-8"):
            with file.open("a", encoding="utf-8") as end:
                end.write(more)
    for options in ((), ("--json",)):
        here = await call(home, what, *options, IMAGEN_DEMO="true")

        for _ in range(20):  # the server looks for changes every few seconds
            code, out, err = await call(home, what, *options, "--server", server.url)
            if (code, out.replace(str(server.home.folder), str(home.folder)), err) == here:
                break
            await asyncio.sleep(0.5)
        else:
            raise AssertionError(here)


async def test_keys(home: Home) -> None:
    key = (await call(home, "keys", "add", "ada"))[1].strip()
    async with Server(home) as server:
        asked = ("imagine", CANARY, "--steps", "2", "--server", server.url)
        code, out, err = await call(home, *asked)
        assert (code, out) == (2, "")
        assert "needs a key" in err
        assert "IMAGEN_KEY" in err
        code, _, err = await call(home, *asked, "--key", "imagen_wrong")
        assert (code, "isn't valid" in err) == (2, True)
        for options, settings in ((("--key", key), {}), ((), {"IMAGEN_KEY": key})):
            assert (await call(home, *asked, *options, **settings))[0] == 0
            code, out, _ = await call(home, "models", "--json", *asked[-2:], *options, **settings)
            models = {row["key"]: row for row in json.loads(out)}
            assert "demo" in models
            # What is for adults, and where files are, is not for this key.
            assert "adults" not in models
            assert models["demo"]["path"] is None
        assert key not in server.log


def read(terminal: int) -> bytes:
    """What was written to it; nothing once its other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


async def test_interrupting_cancels_the_job(server: Server, home: Home) -> None:
    # With a terminal for the progress line.
    terminal, end = pty.openpty()
    slow = ("--steps", "100", "--size", "512x512", "--count", "4")
    with os.fdopen(end, "wb", buffering=0) as written:
        process = await start(
            [
                *(sys.executable, str(ROOT / "main.py")),
                *("imagine", CANARY, *slow, "--server", server.url),
            ],
            cwd=home.folder,
            environment=home.environment,
            stdout=written,
            stderr=written,
            cold=True,  # the forked one cannot write to a terminal
        )
    shown = b""
    while b"Image 1 of 4" not in shown:
        more = await asyncio.to_thread(read, terminal)
        assert more, shown
        shown += more
    assert b"Step " in shown
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 1
    while more := read(terminal):
        shown += more
    os.close(terminal)
    assert b"Cancelled" in shown
    assert server.home.states()[-1] == "cancelled"


async def test_it_waits_for_a_server_that_is_restarted(home: Home, tmp_path: Path) -> None:
    async with Server(home) as server:
        options = ("--steps", "60", "--size", "256x256", "--seed", "5", "--server", server.url)
        asking = asyncio.create_task(
            call(home, "imagine", CANARY, *options, "--out", str(tmp_path))
        )
        await until(lambda: home.database.exists() and home.states() == ["running"], times=600)
        server.send(signal.SIGKILL)
        await server.wait()
        await server.start()
        code, out, err = await asking
        assert (code, err) == (0, "")
        assert out.startswith(str(tmp_path / "demo-5.png"))
        assert home.states() == ["delivered"]


class TestOtherServers:
    async def imagine(self, home: Home, url: str) -> tuple[int, str]:
        code, out, err = await call(home, "imagine", CANARY, "--server", url)
        assert out == ""
        assert "Traceback" not in err
        assert err.count("\n") == 1
        assert CANARY not in err
        return code, err

    async def test_none(self, home: Home) -> None:
        code, said = await self.imagine(home, "http://127.0.0.1:1")
        assert (code, said) == (1, "http://127.0.0.1:1 cannot be reached: Connection refused\n")

    @pytest.mark.parametrize(
        ("answer", "code", "said"),
        [
            (
                "HTTP/1.1 301 Moved\nLocation: https://x.example/\nContent-Length: 0\n\n",
                2,
                "redirects to https://x.example/; give the address",
            ),
            (
                "HTTP/1.1 404 Not Found\nContent-Length: 6\n\nnginx\n",
                2,
                "does not answer like an Imagen server: POST /generate got 404 Not Found",
            ),
            (
                "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
                2,
                "does not answer like an Imagen server",
            ),
            (
                "HTTP/1.1 202 OK\nContent-Length: 2\n\n{}",
                2,
                "does not answer like an Imagen server",
            ),
            (
                'HTTP/1.1 202 OK\nContent-Length: 19\n\n{"job_id": "../../"}',
                2,
                "does not answer like",
            ),
            ("HTTP/1.1 502 Bad\nContent-Length: 0\n\n", 1, "is not available: 502 Bad"),
            (
                'HTTP/1.1 400 No\nContent-Length: 35\n\n{"detail":"\\u001b[2J","code":"new"} ',
                2,
                "\ufffd[2J",
            ),
        ],
        ids=["moved", "404", "200", "object", "path", "proxy", "escape"],
    )
    async def test_another(self, home: Home, answer: str, code: int, said: str) -> None:
        async with answering(saying(answer)) as url:
            ended, err = await self.imagine(home, url)
        assert (ended, said in err) == (code, True), err

    async def test_no_tls(self, server: Server, home: Home) -> None:
        code, err = await self.imagine(home, server.url.replace("http:", "https:"))
        assert (code, "no trusted connection" in err) == (1, True), err

    async def test_a_certificate_that_no_one_vouches_for(self, home: Home, tmp_path: Path) -> None:
        files = tmp_path / "key.pem", tmp_path / "cert.pem"
        make = await asyncio.create_subprocess_exec(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", str(files[0]), "-out", str(files[1])),
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await make.wait() == 0
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(files[1], files[0])
        async with answering(saying(""), tls) as url:
            code, err = await self.imagine(home, url)
        assert (code, err) == (1, f"{url}: no trusted connection: self-signed certificate\n")

    async def test_a_path_of_ours_that_is_none(self, server: Server, home: Home) -> None:
        code, err = await self.imagine(home, f"{server.url}/imagen")
        assert (code, "does not answer like an Imagen server" in err) == (2, True), err
