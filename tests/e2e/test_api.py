"""The original interface over HTTP, with the real process."""

import asyncio
import base64
import hashlib
import io
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from bot.files.metadata import read_png
from tests.e2e.conftest import CANARY
from tests.e2e.home import Home, call
from tests.e2e.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Any
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("api"), models_dir)
    async with Server(home, IMAGEN_PREVIEW="true") as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log


async def test_a_prompt_alone_suffices(server: Server) -> None:
    accepted = await server.generate(prompt=CANARY)
    assert sorted(accepted) == ["eta", "job_id", "position", "seed", "status", "variation"]
    assert (accepted["status"], accepted["position"]) == ("queued", 1)
    status = await server.done(accepted["job_id"])
    assert sorted(status) == sorted(
        [
            "job_id",
            "status",
            "position",
            "progress",
            "step",
            "steps",
            "stage",
            "eta",
            "lane",
            "larger_gpu",
            "error",
            "images",
            "warnings",
            "metadata",
            "words",
        ]
    )
    assert (status["status"], status["progress"], status["error"]) == ("done", 1.0, None)
    assert status["step"] == status["steps"]
    assert (status["lane"], status["larger_gpu"]) == ("gpu", False)
    [lane] = (await server.client.get("/lanes")).json()
    assert lane == {
        "name": "gpu",
        "device": "cpu",
        "state": "ready",
        "model": "demo",
        "busy": False,
    }
    answer = await server.client.get(f"/image/{accepted['job_id']}")
    assert answer.headers["content-type"] == "image/png"
    assert f'filename="demo-{accepted["seed"]}.png"' in answer.headers["content-disposition"]
    assert read_png(answer.content).seed == accepted["seed"]
    metadata = json.loads(answer.headers["x-generation-metadata"])
    assert (metadata["model"], metadata["seed"]) == ("demo", accepted["seed"])
    assert hashlib.sha256(answer.content).hexdigest() == status["images"][0]["sha256"]


async def test_a_prompt_of_another_program_is_understood_and_noted(server: Server) -> None:
    accepted = await server.generate(prompt=f"{CANARY} --no rain --q 2", seed=-1, steps=10)
    status = await server.done(accepted["job_id"])
    assert status["warnings"] == ["I left out --q. Use `steps` instead."]
    image = await server.client.get(status["images"][0]["url"])
    recipe = read_png(image.content).recipe
    assert recipe is not None
    assert (recipe.request.prompt, recipe.request.negative) == (CANARY, "rain")


@pytest.mark.long
async def test_the_same_seed_gives_the_same_bytes_as_the_command_line(
    server: Server, home: Home
) -> None:
    body = {
        "prompt": CANARY,
        "negative_prompt": "noise",
        "model": "demo",
        "loras": [{"name": "frost", "weight": 0.5}, {"name": "ember"}],
        "steps": 10,
        "guidance_scale": 8.5,
        "seed": 42,
        "width": 64,
        "height": 80,
        "count": 2,
        "preset": "misty, draft",
        "scheduler": "Euler",
    }
    accepted = await server.generate(**body)
    assert accepted["seed"] == 42
    status = await server.done(accepted["job_id"])
    options = ("--negative", "noise", "--lora", "frost:0.5", "--lora", "ember", "--steps", "10")
    more = ("--guidance", "8.5", "--seed", "42", "--size", "64x80", "--count", "2", "--json")
    last = ("--preset", "Misty,draft", "--scheduler", "Euler")
    code, out, err = await call(home, "imagine", CANARY, *options, *more, *last)
    assert (code, err) == (0, "")
    done = json.loads(out)
    assert [image["sha256"] for image in status["images"]] == [
        image["sha256"] for image in done["images"]
    ]
    request = done["recipe"]["request"]
    assert (request["prompt"], request["negative"], request["preset"]) == (
        f"{CANARY} in thick fog",
        "noise, sun",
        "draft",
    )
    assert status["metadata"]["loras"] == [
        {"name": "frost", "weight": 0.5},
        {"name": "ember", "weight": 0.75},
    ]


@pytest.mark.long
async def test_a_variation_gives_the_same_bytes_as_the_command_line(
    server: Server, home: Home
) -> None:
    body = {"prompt": CANARY, "seed": 7, "steps": 4, "model": "demo"}
    drawn = await server.generate(**body, variation="0.2")
    assert drawn["seed"] == 7
    assert re.fullmatch(r"[0-9]+:0\.2", drawn["variation"])
    accepted = await server.generate(**body, count=2, variation="12:0.4, 99:0.1")
    assert (accepted["seed"], accepted["variation"]) == (7, "12:0.4, 99:0.1")
    status = await server.done(accepted["job_id"])
    told = [(image["seed"], image["variation"]) for image in status["images"]]
    assert told == [(7, "12:0.4, 99:0.1"), (7, "12:0.4, 100:0.1")]
    options = ("--seed", "7", "--steps", "4", "--model", "demo", "--json")
    code, out, err = await call(home, "imagine", CANARY, *options, "--variation", told[1][1])
    assert (code, err) == (0, "")
    [image] = json.loads(out)["images"]
    assert (image["seed"], image["variation"]) == told[1]
    # Only their texts differ: one is of two images.
    answer = await server.client.get(f"/image/{accepted['job_id']}/2")
    assert json.loads(answer.headers["X-Generation-Metadata"])["variation"] == told[1][1]
    written = await asyncio.to_thread(Path(image["path"]).read_bytes)
    one, other = (Image.open(io.BytesIO(data)).tobytes() for data in (answer.content, written))
    assert one == other


@pytest.mark.parametrize(
    ("body", "language", "said"),
    [
        ({"model": "pony-xl-v6"}, "en", "Model 'pony-xl-v6' is not available"),
        (
            {"model": "pony-xl-v6"},
            "fr-FR,fr;q=0.9,en;q=0.1",
            "Le modèle pony-xl-v6 est dans le catalogue, mais le propriétaire ne l’a pas activé.",
        ),
        ({"loras": [{"name": "nope"}]}, "en", "LoRA 'nope' is not available"),
        (
            {"loras": [{"name": "ember", "weight": 99}]},
            "en",
            "LoRA ember: a weight of 99.0 won't work. Choose a value from -5.0 to 5.0.",
        ),
        ({"steps": 0}, "en", "steps: 0 won't work. Choose a value from 1 to 100."),
        ({"guidance_scale": 31}, "de", "guidance_scale"),
        ({"steps": "many"}, "en", "steps: “many” won't work. It must be a whole number."),
        ({"seed": True}, "en", "seed"),
        ({"step": 30}, "en", "There's no field called step."),
        ({"preset": "mist"}, "en", "There's no preset called “mist”. Did you mean"),
        ({"preset": "draft, fast"}, "en", "The presets draft and fast can't be combined."),
        ({"width": 64}, "en", "height is missing"),
        ({"image": "?"}, "en", "image: this is neither"),
        ({"image": "0" * 64}, "en", "image: there's no uploaded image"),
    ],
)
async def test_a_wrong_value_is_named(
    server: Server, body: dict[str, Any], language: str, said: str
) -> None:
    answer = await server.client.post(
        "/generate", json={"prompt": CANARY, **body}, headers={"Accept-Language": language}
    )
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(said)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "api.body.json"),
        (b'{"prompt": NaN}', 400, "api.body.number"),
        (b'{"prompt": "a", "prompt": "b"}', 400, "api.body.twice"),
        (b'{"prompt": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "api.body.deep"),
        (b"[" * 100_000, 400, "api.body.deep"),
        (b'{"prompt": "a", "seed": ' + b"9" * 5_000 + b"}", 400, "api.body.number"),
        (b'{"prompt": "\xff"}', 400, "api.body.encoding"),
        (b"[]", 400, "api.field.wrong"),
        (b" " * (65 * 2**20), 413, "api.http.large"),
    ],
    ids=["cut", "nan", "twice", "deep", "deeper", "long number", "latin-1", "list", "large"],
)
async def test_a_body_that_is_no_json_is_refused(
    server: Server, content: bytes, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await server.client.post("/generate", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.long
async def test_events_bring_progress_previews_and_the_end(server: Server) -> None:
    accepted = await server.generate(prompt=CANARY, steps=40, width=256, height=256)
    events: list[tuple[str, dict[str, Any]]] = []
    async with server.client.stream("GET", f"/events/{accepted['job_id']}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
    assert {name for name, _ in events[:-1]} == {"progress"}
    assert events[-1][0] == events[-1][1]["status"] == "done"
    shares = [body["progress"] for _, body in events]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    assert any(body.get("preview", "").startswith("data:image/jpeg") for _, body in events)


async def test_an_image_in_parts_and_only_once(server: Server) -> None:
    accepted = await server.generate(prompt=CANARY, steps=2, count=2)
    await server.done(accepted["job_id"])
    address = f"/image/{accepted['job_id']}/2"
    whole = await server.client.get(address)
    part = await server.client.get(address, headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, whole.content[:8])
    again = await server.client.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for known in (f"W/{whole.headers['etag']}", f'"other", {whole.headers["etag"]}', "*"):
        again = await server.client.get(address, headers={"If-None-Match": known})
        assert again.status_code == 304
    other = await server.client.get(address, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200
    head = await server.client.head(address)
    assert head.headers["content-length"] == str(len(whole.content))
    assert (await server.client.get(f"/image/{accepted['job_id']}/3")).status_code == 404
    assert (await server.client.get("/image/nope")).status_code == 404
    [file] = (server.home.data_dir / "images" / accepted["job_id"]).glob("*-2.png")
    file.unlink()
    assert (await server.client.get(address)).status_code == 410


async def test_no_call_waits_longer_than_a_minute(server: Server) -> None:
    answer = await server.client.get("/status/nope", params={"wait": 61})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "wait: “61” won't work. It must be at most 60."


async def test_cancelling(server: Server) -> None:
    running = await server.generate(prompt=CANARY, steps=100, width=512, height=512, count=4)
    waiting = await server.generate(prompt=CANARY, steps=100)
    early = await server.client.get(f"/image/{waiting['job_id']}")
    assert early.status_code == 409
    for job in (waiting, running):
        answer = await server.client.delete(f"/jobs/{job['job_id']}")
        assert answer.status_code == 200
        assert (await server.done(job["job_id"]))["status"] == "cancelled"
    assert (await server.client.delete("/jobs/nope")).status_code == 404


async def test_a_call_repeated_is_one_job(server: Server) -> None:
    headers = {"Idempotency-Key": "twice"}
    body = {"prompt": CANARY, "steps": 2}
    answers = await asyncio.gather(
        *(server.client.post("/generate", json=body, headers=headers) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    other = await server.client.post("/generate", json={**body, "steps": 3}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "api.repeat.changed")


async def test_an_uploaded_image_is_painted_over(server: Server) -> None:
    png = io.BytesIO()
    Image.new("RGB", (80, 64), "yellow").save(png, "PNG")
    answer = await server.client.post(
        "/images", content=png.getvalue(), headers={"Content-Type": "image/png"}
    )
    assert (answer.status_code, answer.json()["width"]) == (201, 80)
    accepted = await server.generate(prompt=CANARY, steps=4, image=answer.json()["sha256"])
    [image] = (await server.done(accepted["job_id"]))["images"]
    assert (image["width"], image["height"]) == (72, 64)  # as many pixels as the model is for
    text = await server.client.post("/images", content=b"a", headers={"Content-Type": "text/plain"})
    assert text.status_code == 415
    broken = await server.client.post(
        "/images", content=b"a", headers={"Content-Type": "image/png"}
    )
    assert broken.status_code == 400


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _base64(image: Image.Image) -> str:
    return base64.b64encode(_png(image)).decode()


PICTURE = Image.merge("RGB", [Image.radial_gradient("L").resize((64, 64))] * 3)
SEAM = 10
"""At least as many pixels as it is wide, at this size."""


async def test_a_part_of_an_image_is_painted_anew(server: Server) -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 24, 64))
    asked = {"prompt": CANARY, "steps": 4, "seed": 7, "size": "64x64", "count": 2}
    accepted = await server.generate(image=_base64(PICTURE), mask=_base64(mask), **asked)
    images = (await server.done(accepted["job_id"]))["images"]
    for n, seed in enumerate((7, 8), 1):
        answer = await server.client.get(f"/image/{accepted['job_id']}/{n}")
        with Image.open(io.BytesIO(answer.content)) as painted:
            kept = (24 + SEAM, 0, 64, 64)
            assert painted.crop(kept).tobytes() == PICTURE.crop(kept).tobytes()
            anew = ImageChops.difference(painted, PICTURE).crop((0, 0, 24, 64))
        assert anew.convert("L").point(lambda value: value > 8 and 255).histogram()[255] > 500
        told = json.loads(answer.headers["x-generation-metadata"])
        assert (told["seed"], told["masked"], told["strength"]) == (seed, True, 1.0)
        assert "Mask mode: Inpaint masked" in (read_png(answer.content).parameters or "")

    # The same from a picture with that part erased, and with both uploaded before.
    erased = PICTURE.convert("RGBA")
    erased.paste((255, 0, 0, 0), (0, 0, 24, 64))
    sent = []
    for data, query in ((PICTURE, {}), (erased, {"mask": "true"})):
        png, kind = _png(data), {"Content-Type": "image/png"}
        answer = await server.client.post("/images", content=png, headers=kind, params=query)
        sent.append(answer.json()["sha256"])
    again = await server.generate(image=sent[0], mask=sent[1], **asked)
    repeated = (await server.done(again["job_id"]))["images"]
    assert [image["sha256"] for image in repeated] == [image["sha256"] for image in images]


@pytest.mark.parametrize("mode", ["RGBA", "L"], ids=["erased", "black"])
async def test_a_picture_that_was_not_uploaded_as_a_mask_is_none(server: Server, mode: str) -> None:
    """Its transparency is gone: what is bright in it would be changed, or nothing of it."""
    png, kind = _png(Image.new(mode, PICTURE.size)), {"Content-Type": "image/png"}
    sha256 = (await server.client.post("/images", content=png, headers=kind)).json()["sha256"]
    body = {"prompt": CANARY, "image": _base64(PICTURE), "mask": sha256}
    answer = await server.client.post("/generate", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "api.picture.not_mask")
    assert "POST /images?mask=true" in answer.json()["detail"]
    body = {"prompt": CANARY, "images": [{"file_id": sha256}], "mask": {"file_id": sha256}}
    answer = await server.client.post("/v1/images/edits", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "mask")


async def test_an_image_is_extended(server: Server) -> None:
    picture = _base64(PICTURE)
    asked = {"prompt": CANARY, "steps": 4, "seed": 7, "image": picture}
    accepted = await server.generate(**asked, extend="right")
    status = await server.done(accepted["job_id"])
    assert status["metadata"]["extend"] == "64x64+0+0"
    [image] = status["images"]
    assert (image["width"], image["height"]) == (96, 64)
    data = (await server.client.get(image["url"])).content
    with Image.open(io.BytesIO(data)) as painted:
        kept = (0, 0, 64 - SEAM, 64)
        assert painted.crop(kept).tobytes() == PICTURE.crop(kept).tobytes()
    # What is told of it asks for it again.
    again = await server.generate(**asked, extend="64x64+0+0", size="96x64")
    [repeated] = (await server.done(again["job_id"]))["images"]
    assert repeated["sha256"] == image["sha256"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"mask": "IMAGE"}, "mask.without"),
        ({"extend": "left"}, "picture.without"),
        ({"image": "IMAGE", "mask": "WIDE"}, "mask.shape"),
        ({"image": "IMAGE", "mask": "?"}, "api.picture.encoding"),
        ({"image": "IMAGE", "mask": "7f" * 32}, "api.picture.unknown"),
        ({"image": "IMAGE", "extend": "sideways"}, "extend.form"),
        ({"image": "IMAGE", "extend": 4}, "extend.zoom"),
        ({"image": "IMAGE", "extend": "left", "hires": 1.5}, "hires.kept"),
    ],
)
async def test_what_cannot_be_kept_is_named(
    server: Server, fields: dict[str, Any], code: str
) -> None:
    files = {"IMAGE": _base64(PICTURE), "WIDE": _base64(Image.new("L", (96, 64), 255))}
    body = {name: files.get(value, value) for name, value in fields.items()}
    answer = await server.client.post("/generate", json={"prompt": CANARY, **body})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["field"] == [*fields][-1]
    assert f"{answer.json()['field']}: " in answer.json()["detail"]


def _shape() -> Image.Image:
    """A square to follow the edges of."""
    image = Image.new("RGB", (64, 64), "white")
    image.paste((200, 30, 30), (12, 12, 52, 52))
    return image


async def test_an_image_follows_another(server: Server) -> None:
    asked = {"prompt": CANARY, "steps": 4, "seed": 7, "size": "64x64"}
    plain = await server.generate(**asked)
    [without] = (await server.done(plain["job_id"]))["images"]
    sent = {"control": "canny:0.8 until 60%", "control_image": _base64(_shape())}
    accepted = await server.generate(**asked, **sent)
    status = await server.done(accepted["job_id"])
    [image] = status["images"]
    assert image["sha256"] != without["sha256"]
    told = status["metadata"]
    assert told["control"] == "canny/canny:0.8 until 60%"
    assert len(told["hashes"]["canny"]) == 64
    assert "control" not in (await server.done(plain["job_id"]))["metadata"]
    png = await server.client.get(f"/image/{accepted['job_id']}")
    assert json.loads(png.headers["x-generation-metadata"])["control"] == told["control"]
    read = read_png(png.content)
    assert 'ControlNet 0: "Module: canny, Model: canny [' in (read.parameters or "")
    recipe = (await server.client.get(f"/jobs/{accepted['job_id']}")).json()["recipe"]
    assert recipe["controls"][0]["sha256"] == told["hashes"]["canny"]
    assert read.recipe is not None
    [weights] = read.recipe.controls
    assert weights.sha256 == told["hashes"]["canny"]

    # The same from what is told, with an image that was uploaded before.
    kind = {"Content-Type": "image/png"}
    kept = (await server.client.post("/images", content=_png(_shape()), headers=kind)).json()
    sent = {"control": told["control"], "control_image": kept["sha256"]}
    again = await server.generate(**asked, **sent)
    assert (await server.done(again["job_id"]))["images"][0]["sha256"] == image["sha256"]
    body = {"prompt": CANARY, "steps": 4, "seed": 7, "size": "64x64", **sent}
    answer = await server.client.post("/v1/images/generations", json=body)
    assert base64.b64decode(answer.json()["data"][0]["b64_json"]) == png.content


async def test_what_is_followed_counts_where_a_call_is_repeated(server: Server) -> None:
    body = {"prompt": CANARY, "steps": 2, "control_image": _base64(_shape())}
    head = {"Idempotency-Key": "follow"}
    first = await server.client.post("/generate", json=body, headers=head)
    again = await server.client.post("/generate", json=body, headers=head)
    assert (first.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
    for other in ({"control_image": _base64(PICTURE)}, {"control": "canny:0.5"}):
        answer = await server.client.post("/generate", json=body | other, headers=head)
        assert (answer.status_code, answer.json()["code"]) == (422, "api.repeat.changed")
    # Without a name, it is the first for the model.
    told = (await server.done(first.json()["job_id"]))["metadata"]
    assert told["control"] == "canny/canny:1"


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"control": "canny"}, "picture.without", "control"),
        ({"control": "cany", "control_image": "IMAGE"}, "control.unknown", "control"),
        ({"control": "canny:3", "control_image": "IMAGE"}, "number.range", "control"),
        ({"control": "canny,canny,canny", "image": "IMAGE"}, "control.many", "control"),
        ({"control": "canny until 0%", "image": "IMAGE"}, "control.steps", "control"),
        ({"control_image": "IMAGE", "control_image2": "IMAGE"}, "control.unnamed", "control"),
        ({"control_image": "?"}, "api.picture.encoding", "control_image"),
        ({"control_image": "7f" * 32}, "api.picture.unknown", "control_image"),
    ],
)
async def test_what_cannot_be_followed_is_named(
    server: Server, fields: dict[str, Any], code: str, named: str
) -> None:
    picture = _base64(PICTURE)
    body = {name: picture if value == "IMAGE" else value for name, value in fields.items()}
    answer = await server.client.post("/generate", json={"prompt": CANARY, **body})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["field"] == named


async def test_controlnets_are_listed(server: Server) -> None:
    [found] = (await server.client.get("/controlnets")).json()
    assert (found["key"], found["type"], found["kind"]) == ("canny", "canny", "controlnet")
    assert (found["base"], found["available"]) == ("SDXL", True)
    assert found["models"] == ["demo", "second", "bright"]
    takes = {each["key"]: each["takes"] for each in (await server.client.get("/models")).json()}
    assert takes["demo"]["control"]
    [row] = (await server.client.get("/catalog/controlnets")).json()["entries"]
    assert (row["key"], row["base"], row["files"]) == ("canny", "SDXL", "present")


async def test_the_catalog(server: Server) -> None:
    models = {each["key"]: each for each in (await server.client.get("/models")).json()}
    assert models["demo"]["default"]
    assert models["demo"]["available"]
    assert not models["pony-xl-v6"]["available"]
    loras = {each["key"]: each for each in (await server.client.get("/loras")).json()}
    assert loras["ember"]["trigger_words"] == ["glowing embers"]
    assert loras["ember"]["default_weight"] == 0.75
    assert models["demo"]["base"] == "SDXL"  # as LoRAs name it


@pytest.mark.long
async def test_a_job_outlives_the_process(home: Home) -> None:
    async with Server(home) as server:
        accepted = await server.generate(prompt=CANARY, steps=100, width=256, height=256, seed=5)
        second = await server.generate(prompt=CANARY, steps=2, seed=6)
        async with server.client.stream("GET", f"/events/{accepted['job_id']}") as events:
            async for line in events.aiter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["step"] >= 2:
                    break
        server.send(signal.SIGKILL)
        await server.wait()
        await server.start()
        for job in (accepted, second):
            assert (await server.done(job["job_id"]))["status"] == "done"
        assert home.states() == ["delivered", "delivered"]


class TestKeys:
    @pytest.mark.long
    async def test_each_sees_its_own_jobs(self, home: Home) -> None:
        ada, bob, root = [
            (await call(home, "keys", "add", *arguments))[1].strip()
            for arguments in (("ada",), ("bob", "--rate", "2"), ("root", "--admin", "--nsfw"))
        ]
        async with Server(home) as server:

            def as_(key: str) -> dict[str, str]:
                return {"Authorization": f"Bearer {key}"}

            body = {"prompt": CANARY, "steps": 2}
            nobody = await server.client.post("/generate", json=body)
            assert nobody.status_code == 401
            assert "Basic" in nobody.headers["www-authenticate"]
            wrong = await server.client.get("/models", headers=as_("imagen_wrong"))
            assert wrong.status_code == 401
            accepted = await server.client.post("/generate", json=body, headers=as_(ada))
            assert accepted.status_code == 202
            address = f"/status/{accepted.json()['job_id']}"
            for key, status in ((ada, 200), (bob, 404), (root, 200)):
                assert (await server.client.get(address, headers=as_(key))).status_code == status
                basic = await server.client.get(address, auth=("a1111", key))
                assert basic.status_code == status
                header = await server.client.get(address, headers={"X-API-Key": key})
                assert header.status_code == status
            adults = {**body, "steps": 10, "model": "adults"}
            for key, status in ((ada, 400), (root, 202)):
                answer = await server.client.post("/generate", json=adults, headers=as_(key))
                assert answer.status_code == status
            statuses = [
                (await server.client.post("/generate", json=body, headers=as_(bob))).status_code
                for _ in range(3)
            ]
            assert statuses == [202, 202, 429]
            last = await server.client.post("/generate", json=body, headers=as_(bob))
            assert int(last.headers["retry-after"]) >= 1
            assert (await call(home, "keys", "revoke", "ada"))[0] == 0
            assert (await server.client.get(address, headers=as_(ada))).status_code == 401
            assert ada not in server.log
            _, listed, _ = await call(home, "keys", "list")
            assert ada not in listed
            assert "ada" in listed

    async def test_without_one_only_this_machine_is_served(self, home: Home) -> None:
        code, _, err = await call(home, "serve", "--host", "0.0.0.0", "--port", "1")
        assert (code, "keys add" in err) == (78, True)


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Host": ""}]
)
async def test_websites_cannot_call_it(server: Server, headers: dict[str, str]) -> None:
    answer = await server.client.get("/models", headers=headers)
    assert answer.status_code == 403
