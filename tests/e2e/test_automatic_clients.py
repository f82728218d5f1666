"""Requests as other clients of AUTOMATIC1111 send them, in their order, without their code.

Open WebUI: backend/open_webui/routers/images.py. SillyTavern: its extension "stable-diffusion" and
src/endpoints/stable-diffusion.js. AIYA: core/settings.py, stablecog.py and upscalecog.py.
"""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from PIL import Image

from bot.files.metadata import read_png
from tests.e2e.conftest import CANARY
from tests.e2e.home import Home, call
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    """Calls a server that has keys, with one, as HTTP Basic authentication."""
    home = Home(tmp_path_factory.mktemp("clients"), models_dir)
    key = (await call(home, "keys", "add", "clients"))[1].strip()
    async with Server(home) as server:
        auth = ("user", key)
        async with httpx2.AsyncClient(
            base_url=server.url, auth=auth, timeout=60, trust_env=False
        ) as client:
            yield client
        assert CANARY not in server.log
        assert key not in server.log
        assert "Traceback" not in server.log


async def told(client: httpx2.AsyncClient, method: str, address: str, **options: Any) -> Any:
    answer = await client.request(method, f"/sdapi/v1/{address}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def size_of(image: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(image))).size


async def test_open_webui(client: httpx2.AsyncClient) -> None:
    options = await told(client, "GET", "options")
    models = await told(client, "GET", "sd-models")
    offered = {model["model_name"]: model["title"] for model in models}
    assert options["sd_model_checkpoint"] in offered.values()
    # It sends back all the options that it was given.
    options["sd_model_checkpoint"] = offered["bright"]
    assert await told(client, "POST", "options", json=options) is None
    assert (await told(client, "GET", "options"))["sd_model_checkpoint"] == offered["bright"]
    body = {"prompt": CANARY, "batch_size": 2, "width": 512, "height": 512, "steps": 2}
    body["negative_prompt"] = "noise"
    answer = await told(client, "POST", "txt2img", json=body)
    assert [size_of(image) for image in answer["images"]] == [(512, 512)] * 2
    info = json.loads(answer["info"])
    assert (info["sd_model_name"], info["warnings"]) == ("bright", [])


class TestSillyTavern:
    async def test_connects(self, client: httpx2.AsyncClient) -> None:
        options = await told(client, "GET", "options")
        assert "forge_preset" not in options
        assert (await client.get("/sdapi/v1/sd-modules")).status_code == 404  # only Forge has it
        for name in ("upscalers", "latent-upscale-modes", "samplers", "schedulers", "sd-models"):
            listed = await told(client, "GET", name)
            assert all("name" in item or "title" in item for item in listed)
        assert all("model_name" in item for item in await told(client, "GET", "sd-vae"))
        chosen = {"sd_model_checkpoint": "demo"}
        assert await told(client, "POST", "options", json=chosen) is None
        progress = await told(client, "GET", "progress")
        assert (progress["progress"], progress["state"]["job_count"]) == (0.0, 0)

    @staticmethod
    def body(**fields: Any) -> dict[str, Any]:
        return {
            "url": "http://localhost:7860",
            "auth": "user:password",
            "prompt": CANARY,
            "negative_prompt": "noise",
            "sampler_name": "DPM++ 2M",
            "scheduler": "karras",
            "steps": 3,
            "cfg_scale": 7,
            "width": 64,
            "height": 64,
            "restore_faces": False,
            "enable_hr": False,
            "hr_upscaler": "Latent",
            "hr_scale": 1.5,
            "hr_additional_modules": [],
            "denoising_strength": 0.7,
            "hr_second_pass_steps": 0,
            "override_settings": {"CLIP_stop_at_last_layers": 1},
            "override_settings_restore_afterwards": True,
            "clip_skip": 1,
            "save_images": True,
            "send_images": True,
            "do_not_save_grid": False,
            "do_not_save_samples": False,
            **fields,
        }

    async def test_generates(self, client: httpx2.AsyncClient) -> None:
        answer = await told(client, "POST", "txt2img", json=self.body(seed=5))
        info = json.loads(answer["info"])
        # Its server passes on what was only for itself.
        assert info["warnings"] == ["There's no field called url.", "There's no field called auth."]
        assert "password" not in json.dumps(answer["parameters"])
        assert "Schedule type: Karras" in info["infotexts"][0]
        larger = self.body(enable_hr=True, hr_upscaler="Lanczos")
        answer = await told(client, "POST", "txt2img", json=larger)
        assert size_of(answer["images"][0]) == (96, 96)
        assert "Hires steps: 3" in json.loads(answer["info"])["infotexts"][0]

    async def test_names_what_it_cannot_have(self, client: httpx2.AsyncClient) -> None:
        detailer = {"ADetailer": {"args": [True, True, {"ad_model": "face_yolov8n.pt"}]}}
        body = self.body(alwayson_scripts=detailer, restore_faces=True)
        info = json.loads((await told(client, "POST", "txt2img", json=body))["info"])
        assert info["warnings"][2:] == [
            "restore_faces was ignored. This server doesn't support it.",
            "There's no script called “ADetailer”, so it was ignored.",
        ]

    async def test_stops_when_its_user_does(self, client: httpx2.AsyncClient) -> None:
        body = self.body(steps=100, width=512, height=512)
        generating = asyncio.create_task(client.post("/sdapi/v1/txt2img", json=body))
        while not (await told(client, "GET", "progress"))["state"]["job_count"]:
            pass
        generating.cancel()
        assert await told(client, "POST", "interrupt") == {}
        while (await told(client, "GET", "progress"))["state"]["job_count"]:
            pass


class TestAiya:
    async def test_starts(self, client: httpx2.AsyncClient) -> None:
        assert await told(client, "GET", "cmd-flags")
        await client.head("/")
        await client.post("/login")
        for name in ("samplers", "prompt-styles", "face-restorers", "hypernetworks", "upscalers"):
            assert all("name" in item for item in await told(client, "GET", name))
        embeddings = await told(client, "GET", "embeddings")
        assert all(item["shape"] for kind in embeddings.values() for item in kind.values())
        for model in await told(client, "GET", "sd-models"):
            assert {"title", "model_name", "hash", "filename"} <= model.keys()
        # The page's own configuration, for lists of LoRAs: it does without.
        assert "components" not in (await client.get("/config")).json()

    async def test_draws_and_reads(self, client: httpx2.AsyncClient) -> None:
        await client.post("/login")
        [title] = [
            model["title"]
            for model in await told(client, "GET", "sd-models")
            if model["model_name"] == "demo"
        ]
        await told(client, "POST", "options", json={"sd_model_checkpoint": title})
        body = {
            "prompt": f"{CANARY} <lora:frost:0.85>",
            "negative_prompt": "",
            "steps": 4,
            "width": 64,
            "height": 64,
            "cfg_scale": "7.0",
            "sampler_index": "Euler a",
            "seed": 123,
            "seed_resize_from_h": 0,
            "seed_resize_from_w": 0,
            "denoising_strength": None,
            "n_iter": 2,
            "batch_size": 1,
            "styles": ["None"],
            "override_settings": {"CLIP_stop_at_last_layers": 1},
        }
        answer = await told(client, "POST", "txt2img", json=body)
        assert json.loads(answer["info"])["warnings"] == []
        assert json.loads(answer["info"])["all_seeds"] == [123, 124]
        assert len(answer["images"]) == 2
        read = await told(
            client,
            "POST",
            "png-info",
            json={"image": "data:image/png;base64," + answer["images"][0]},
        )
        assert read["info"] == read_png(base64.b64decode(answer["images"][0])).parameters
        body |= {
            "init_images": ["data:image/png;base64," + answer["images"][0]],
            "denoising_strength": "0.75",
            "n_iter": 1,
        }
        again = await told(client, "POST", "img2img", json=body)
        assert size_of(again["images"][0]) == (64, 64)

    async def test_upscales(self, client: httpx2.AsyncClient) -> None:
        file = io.BytesIO()
        Image.new("RGB", (40, 24), "green").save(file, "PNG")
        body = {
            "upscaling_resize": 2.0,
            "upscaler_1": "Lanczos",
            "image": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode(),
            "gfpgan_visibility": 0,
            "codeformer_visibility": 0,
            "upscale_first": False,
            "upscaler_2": "Nearest",
            "extras_upscaler_2_visibility": 0.5,
        }
        answer = await told(client, "POST", "extra-single-image", json=body)
        assert size_of(answer["image"]) == (80, 48)
