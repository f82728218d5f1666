"""Comparing and enlarging over HTTP and from the command line, with the real process."""

import asyncio
import base64
import io
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from PIL import Image

from bot.files.metadata import read_png
from bot.files.sheets.metadata import read_sheet
from tests.e2e.conftest import CANARY
from tests.e2e.home import ROOT, Home, call
from tests.e2e.server import Server
from tests.e2e.test_life import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

HANDED_OVER = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")
FOUR = {"axis": "steps", "values": "2, 3", "axis2": "lora", "values2": "off, ember"}
TYPED = ("--axis", "steps", "--values", "2, 3", "--axis2", "lora", "--values2", "off, ember")


class Called:
    """A caller with a key."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        self.key = key

    async def __call__(self, method: str, path: str, **request: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}", **request.pop("headers", {})}
        return await self.server.client.request(method, path, headers=headers, **request)

    async def asks(self, path: str, **body: Any) -> str:
        """The id of the accepted job."""
        answer = await self("POST", path, json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    async def ended(self, job_id: str) -> dict[str, Any]:
        """The job's status once it has ended."""
        while True:
            answer = await self("GET", f"/status/{job_id}", params={"wait": 30})
            assert answer.status_code == 200, answer.text
            status = dict(answer.json())
            if status["status"] in ("done", "failed", "cancelled"):
                return status


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("apart"), models_dir)
    (home.catalog_dir / "blocked_words.txt").write_text("grumblefox\n")
    async with Server(home) as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log


async def key_of(server: Server, name: str, *options: str) -> Called:
    return Called(server, (await call(server.home, "keys", "add", name, *options))[1].strip())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ada(server: Server) -> Called:
    return await key_of(server, "ada")


def png(width: int = 90, height: int = 60) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, "PNG")
    return file.getvalue()


async def contents(image: dict[str, Any]) -> bytes:
    """Of the file that a command line tells of."""
    return await asyncio.to_thread(Path(image["path"]).read_bytes)


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.long
@HANDED_OVER
async def test_a_comparison_is_the_same_over_http_and_handed_over(
    server: Server, ada: Called
) -> None:
    job_id = await ada.asks("/compare", prompt=CANARY, seed=5, **FOUR)
    status = await ada.ended(job_id)
    assert (status["status"], status["warnings"]) == ("done", [])
    assert [each["cell"] for each in status["images"]] == [
        *(None, ["2", "off"], ["3", "off"], ["2", "ember"], ["3", "ember"])
    ]
    assert [each["url"] for each in status["images"]] == [
        f"/image/{job_id}/{n}" for n in (5, 1, 2, 3, 4)
    ]
    assert status["metadata"]["axes"] == ["steps", "lora"]

    code, out, err = await call(server.home, "compare", CANARY, "--seed", "5", *TYPED, "--json")
    assert (code, err) == (0, "")
    handed = json.loads(out)
    assert f"job {handed['job_id']}: attempt 1" in server.log
    assert [image.get("cell") for image in handed["images"]] == [
        each["cell"] for each in status["images"]
    ]
    # A sheet names its job, so that only its pixels are the same.
    sheets = [image["sha256"] for image in (status["images"][0], handed["images"][0])]
    assert sheets[0] != sheets[1]
    cells = [[each["sha256"] for each in one["images"][1:]] for one in (status, handed)]
    assert cells[0] == cells[1]
    sheet = await ada("GET", f"/image/{job_id}")
    assert 'filename="comparison-5.png"' in sheet.headers["content-disposition"]
    assert pixels(sheet.content) == pixels(await contents(handed["images"][0]))
    said = read_sheet(sheet.content)
    assert said is not None
    assert said.job_id == job_id

    # Each cell is what the same options alone give, and says so.
    cell = await ada("GET", f"/image/{job_id}/4")
    assert json.loads(cell.headers["x-generation-metadata"])["steps"] == 3
    alone = await ada.asks("/generate", prompt=CANARY, seed=5, steps=3, loras=[{"name": "ember"}])
    await ada.ended(alone)
    assert (await ada("GET", f"/image/{alone}")).content == cell.content


@pytest.mark.long
@HANDED_OVER
async def test_an_image_is_enlarged_to_the_same_bytes(
    server: Server, ada: Called, tmp_path: Path
) -> None:
    file = tmp_path / "me.png"
    file.write_bytes(png())
    headers = {"Content-Type": "image/png"}
    uploaded = (await ada("POST", "/images", content=png(), headers=headers)).json()["sha256"]
    encoded = base64.b64encode(png()).decode()
    digests = set()
    for image in (uploaded, encoded):
        status = await ada.ended(await ada.asks("/upscale", image=image, scale=1.5))
        digests.add(status["images"][0]["sha256"])
        told = status["metadata"]
        assert (told["upscaler"], told["scale"], told["mode"]) == ("builtin", 1.5, "crisp")
    code, out, err = await call(server.home, "upscale", str(file), "--scale", "1.5", "--json")
    assert (code, err) == (0, "")
    [image] = json.loads(out)["images"]
    assert digests == {image["sha256"]}
    assert (image["width"], image["height"]) == (135, 90)
    recipe = read_png(await contents(image)).recipe
    assert recipe is not None
    assert recipe.upscaler is not None

    over = {"mode": "repaint", "prompt": CANARY, "seed": 4, "steps": 4, "strength": 0.5}
    loras = [{"name": "ember", "weight": 0.5}]
    job_id = await ada.asks("/upscale", image=uploaded, **over, loras=loras)
    painted = await ada.ended(job_id)
    options = [f"--{name}={value}" for name, value in over.items()]
    code, out, _ = await call(
        server.home, "upscale", str(file), *options, "--lora", "ember:0.5", "--json"
    )
    assert code == 0
    assert json.loads(out)["images"][0]["sha256"] == painted["images"][0]["sha256"]
    kinds = server.home.rows(f"SELECT kind FROM jobs WHERE id = '{job_id}'")
    assert kinds == [("upscale",)]
    [only] = (await ada("GET", "/upscalers")).json()
    assert (only["key"], only["default"], only["available"]) == ("builtin", True, True)


@pytest.mark.long
async def test_a_server_and_this_process_give_the_same(
    server: Server, ada: Called, home: Home, tmp_path: Path
) -> None:
    (tmp_path / "me.png").write_bytes(png())
    there = ("--server", server.url, "--key", ada.key, "--out", str(tmp_path / "out"))
    for asked in (
        ("compare", CANARY, "--seed", "5", *TYPED, "--image", str(tmp_path / "me.png")),
        ("upscale", str(tmp_path / "me.png"), "--mode=repaint", "--prompt", CANARY, "--seed=4"),
    ):
        made = []
        for options in (there, ()):
            code, out, err = await call(home, *asked, *options, "--json")
            assert (code, err) == (0, "")
            images = json.loads(out)["images"]
            files = [Path(image["path"]) for image in images]
            made.append([(each.name, pixels(each.read_bytes())) for each in files])
            assert [image.get("cell") for image in images].count(None) == 1
        assert made[0] == made[1]


IMAGE = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/compare", {}, "axis is missing."),
        ("/compare", {"axis": "colour"}, "axis: there's nothing called “colour” to compare. Cho"),
        ("/compare", {"axis": "steps", "values": "1, 900"}, "steps: 900 won't work. Choose a va"),
        ("/compare", {"axis": "steps", "values2": "1, 2"}, "values2 needs axis2."),
        ("/compare", {"axis": "seed", "values": 7}, "There's only one value for seed here, and a"),
        ("/compare", {"axis": "seed", "count": 2}, "There's no field called count."),
        ("/compare", {"axis": "guidance", "values": "99, 2"}, "guidance_scale: 99.0 won't work."),
        ("/compare", {"axis": "model", "values": "demo, adults"}, "Model 'adults' is not avail"),
        ("/compare", {"axis": "prompt", "values": f"{CANARY}, a grumblefox"}, "I can't make th"),
        ("/compare", {"axis": "steps", "image": "0" * 64}, "image: there's no uploaded image 00"),
        ("/upscale", {}, "image is missing."),
        ("/upscale", {"image": IMAGE, "scale": 5}, "scale: 5.0 won't work. Choose 1.5, 2, 3, or"),
        ("/upscale", {"image": IMAGE, "mode": "soft"}, "mode: soft won't work. Choose crisp or"),
        ("/upscale", {"image": IMAGE, "mode": "repaint"}, "To paint over the image, I need a p"),
        ("/upscale", {"image": IMAGE, "upscaler": "buildin"}, "There's no upscaler called “buil"),
        ("/upscale", {"image": IMAGE, "loras": [{"name": "ember"}]}, "lora"),
        ("/upscale", {"image": IMAGE, "guidance_scale": 2}, "There's no field called guidance"),
        ("/upscale", {"image": "0" * 64}, "image: there's no uploaded image 00"),
    ],
)
async def test_what_cannot_be_done_is_said_and_not_stored(
    server: Server, ada: Called, path: str, body: dict[str, Any], said: str
) -> None:
    stored = len(server.home.states())
    text = {"prompt": CANARY} if path == "/compare" else {}
    answer = await ada("POST", path, json={**text, **body})
    assert (answer.status_code, answer.json()["detail"][: len(said)]) == (400, said)
    assert len(server.home.states()) == stored


async def test_a_key_has_the_same_limits_and_repeats(server: Server) -> None:
    bob = await key_of(server, "bob", "--daily", "5")
    body = {"prompt": CANARY, "seed": 5, **FOUR}
    once = {"Idempotency-Key": "once"}
    first, second = [await bob("POST", "/compare", json=body, headers=once) for _ in range(2)]
    assert first.json()["job_id"] == second.json()["job_id"]
    for path, other in (
        ("/compare", {**body, "values": "2, 4"}),
        ("/generate", {"prompt": CANARY, "seed": 5}),
        ("/upscale", {"image": IMAGE}),
    ):
        answer = await bob("POST", path, json=other, headers=once)
        assert (answer.status_code, answer.json()["code"]) == (422, "api.repeat.changed")
    await bob.ended(first.json()["job_id"])
    # Four images of its five are gone.
    answer = await bob("POST", "/compare", json={**body, "seed": 6})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue.quota")


async def test_what_of_it_failed_is_told(ada: Called) -> None:
    job_id = await ada.asks("/compare", prompt=CANARY, axis="lora", values="off, old", steps=2)
    status = await ada.ended(job_id)
    assert status["status"] == "done"
    assert status["warnings"] == ["old couldn't be generated. The sheet says why."]
    assert [each["cell"] for each in status["images"]] == [None, ["off"]]
    for n, code in ((1, 200), (2, 404), (3, 200), (4, 404)):
        assert (await ada("GET", f"/image/{job_id}/{n}")).status_code == code
    missing = await ada("GET", f"/image/{job_id}/2")
    assert missing.json()["detail"].startswith("old couldn't be generated")


async def test_one_that_is_cancelled_gives_nothing(server: Server, ada: Called) -> None:
    job_id = await ada.asks(
        "/compare", prompt=CANARY, axis="seed", values="1,2,3,4,5,6", size="256x256", steps=15
    )
    images = server.home.data_dir / "images" / job_id
    await until(lambda: bool([*images.glob("*.png")]), times=600)
    assert (await ada("DELETE", f"/jobs/{job_id}")).status_code == 200
    status = await ada.ended(job_id)
    assert (status["status"], status["images"]) == ("cancelled", [])
    assert (await ada("GET", f"/image/{job_id}/1")).status_code == 404
    await until(lambda: not images.exists())


@pytest.mark.long
async def test_ctrl_c_leaves_nothing_of_one_that_is_generated_here(home: Home) -> None:
    more = ("--axis", "seed", "--values", "1,2,3,4,5,6", "--size", "256x256", "--steps", "15")
    line = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "compare", CANARY, *more, "--json"),
        cwd=home.folder,
        env=home.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    images = home.data_dir / "images"
    await until(lambda: bool([*images.glob("*/*.png")]), times=1200)
    line.send_signal(signal.SIGINT)
    out, _ = await line.communicate()
    said = json.loads(out)
    assert (line.returncode, said["status"], said["images"]) == (1, "cancelled", [])
    assert not [*images.glob("*/*.png")]
    assert home.rows("SELECT count(*) FROM images") == [(0,)]


@pytest.mark.long
async def test_killed_in_the_middle_it_goes_on_with_what_is_missing(home: Home) -> None:
    body = {"prompt": CANARY, "axis": "seed", "values": "1,2,3,4", "size": "256x256", "steps": 15}
    async with Server(home) as server:
        answer = await server.client.post("/compare", json=body)
        job_id = answer.json()["job_id"]
        images = home.data_dir / "images" / job_id
        await until(lambda: len([*images.glob("*.png")]) > 1, times=1200)
        server.send(signal.SIGKILL)
        await server.wait()
        before = {file: file.stat().st_mtime_ns for file in images.glob("*.png")}
        with sqlite3.connect(home.database) as database:
            recorded = {path for (path,) in database.execute("SELECT path FROM images")}
        assert 0 < len(recorded) < 4
        await server.start()
        status = await server.done(job_id)
        assert [each["cell"] for each in status["images"]] == [None, ["1"], ["2"], ["3"], ["4"]]
        kept = [file for file in before if f"{job_id}/{file.name}" in recorded]
        assert [file.stat().st_mtime_ns for file in kept] == [before[file] for file in kept]
