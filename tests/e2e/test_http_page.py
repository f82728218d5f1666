"""What docs/http.md says about the HTTP interface works: its calls are run as they stand there."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from bot.files.metadata import read_png
from tests.docs.pages import ROOT, blocks
from tests.e2e.home import Home, call
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

PAGE = ROOT / "docs" / "http.md"
CALLS = [block for block in blocks(PAGE, "sh") if "curl " in block]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    async with Server(Home(tmp_path_factory.mktemp("page"), models_dir)) as server:
        yield server


async def shell(script: str, folder: Path) -> str:
    """What the script prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b""), script
    return out.decode()


def erase(picture: Path, erased: Path) -> None:
    """The picture without its upper left quarter."""
    with Image.open(picture) as image:
        image.putalpha(255)
        image.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height // 2))
        image.save(erased)


@pytest.mark.long
async def test_every_call_on_the_page_works(server: Server, tmp_path: Path) -> None:
    names = ("JOB_ID", "MASK_SHA256", "SHA256")
    known = {"http://127.0.0.1:8009": server.url, **dict.fromkeys(names, ""), "YOUR_KEY": "any"}
    seen: list[str] = []
    for block in CALLS:
        if "YOUR_KEY" in block:
            continue
        script = re.sub("|".join(known), lambda match: known[match[0]], block)
        if "/image/" in script:
            await server.done(known["JOB_ID"])
        if "erased.png" in script:
            erase(tmp_path / "star.png", tmp_path / "erased.png")
        out = await shell(script, tmp_path)
        if "/generate" in script:
            answer = json.loads(out)
            keys = ["eta", "job_id", "position", "seed", "status", "variation"]
            assert sorted(answer) == keys, out
            asked = json.loads(re.findall(r"-d '(\{.*\})'", script, re.DOTALL)[0])
            assert asked.get("seed", answer["seed"]) == answer["seed"]
            known["JOB_ID"] = answer["job_id"]
        elif "/images " in script:
            known["SHA256"] = json.loads(out)["sha256"]
        elif "/images?mask=true" in script:
            known["MASK_SHA256"] = json.loads(out)["sha256"]
        elif "/status/" in script:
            assert json.loads(out)["status"] == "done"
        elif "/events/" in script:
            assert out.startswith("event: done\n")
        elif "/jobs/" in script:
            assert json.loads(out)["job_id"] == known["JOB_ID"]
        elif "/models" in script:
            assert '"key":"demo"' in out
            assert '"key":"sketch"' in out
        seen += re.findall(r"8009/(\w+)", block)
    asked = {"generate", "compare", "upscale"}
    listed = {"models", "loras", "embeddings", "upscalers", "controlnets"}
    assert {*seen} == {*asked, *listed, "image", "images", "status", "events", "jobs"}
    # The image of the third example, of two LoRAs and a seed.
    image = read_png((tmp_path / "star.png").read_bytes())
    assert image.recipe is not None
    assert (image.seed, image.recipe.request.steps) == (42, 20)


async def test_the_original_calls_generate(server: Server, tmp_path: Path) -> None:
    generating = [block for block in CALLS if "/generate" in block][:3]
    for block, loras in zip(generating, (0, 1, 2), strict=True):
        out = await shell(block.replace("http://127.0.0.1:8009", server.url), tmp_path)
        status = await server.done(json.loads(out)["job_id"])
        assert status["status"] == "done"
        assert len(status["metadata"]["loras"]) == loras


@pytest.mark.long
async def test_a_key_as_the_page_sends_it(home: Home, tmp_path: Path) -> None:
    [block] = [block for block in CALLS if "YOUR_KEY" in block]
    key = (await call(home, "keys", "add", "ada"))[1].strip()
    async with Server(home) as server:
        script = block.replace("http://127.0.0.1:8009", server.url)
        assert '"demo"' in await shell(script.replace("YOUR_KEY", key), tmp_path)
        assert '"api.key.invalid"' in await shell(script, tmp_path)
