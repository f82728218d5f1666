"""What AUTOMATIC1111's interface offers: checkpoints by each of their names, and lists."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import webuiapi

from tests.e2e.automatic import QUICK, called, told
from tests.e2e.conftest import CANARY
from tests.e2e.home import Home
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Any
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("catalog"), models_dir)
    async with Server(home, IMAGEN_PREVIEW="true") as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log


@pytest_asyncio.fixture(loop_scope="session")
async def api(server: Server, monkeypatch: pytest.MonkeyPatch) -> webuiapi.WebUIApi:
    monkeypatch.setenv("NO_PROXY", "*")
    return await asyncio.to_thread(webuiapi.WebUIApi, port=server.port)


class TestCheckpoints:
    async def test_each_name_of_a_checkpoint_is_understood(
        self, server: Server, api: webuiapi.WebUIApi
    ) -> None:
        body = {**QUICK, "steps": 10}
        await called(api.txt2img, **body, override_settings={"sd_model_checkpoint": "second"})
        [listed] = [m for m in await called(api.get_sd_models) if m["model_name"] == "second"]
        assert listed["title"] == f"second [{listed['hash']}]"
        assert listed["sha256"].startswith(listed["hash"])
        assert (listed["filename"], listed["config"]) == ("ink.safetensors", None)
        for name in ("title", "model_name", "hash", "sha256", "filename"):
            settings = {"sd_model_checkpoint": listed[name]}
            result = await called(api.txt2img, **body, override_settings=settings)
            assert result.info["sd_model_name"] == "second", name
            assert result.info["sd_model_hash"] == listed["hash"]
        assert await called(api.util_get_current_model) != listed["title"]

    async def test_one_is_chosen(self, api: webuiapi.WebUIApi) -> None:
        await called(api.util_set_model, "bright")
        assert (await called(api.util_get_current_model)).startswith("bright")
        assert (await called(api.txt2img, **QUICK)).info["sd_model_name"] == "bright"
        assert await called(api.set_options, {"sd_model_checkpoint": "demo"}) is None
        assert (await called(api.util_get_current_model)).startswith("demo")

    async def test_nothing_else_can_be_set(self, api: webuiapi.WebUIApi) -> None:
        before = await called(api.get_options)
        assert await called(api.set_options, before) is None
        told = await called(api.set_options, {**before, "CLIP_stop_at_last_layers": 2, "new": 1})
        assert told["warnings"] == [
            "CLIP_stop_at_last_layers can't be changed here. Only sd_model_checkpoint can.",
            "new can't be changed here. Only sd_model_checkpoint can.",
        ]
        assert await called(api.get_options) == before

    async def test_an_unknown_one_is_refused(self, api: webuiapi.WebUIApi) -> None:
        told = await called(api.set_options, {"sd_model_checkpoint": "gone"})
        assert "Model 'gone' is not available" in told["detail"]


async def test_what_there_is(server: Server, api: webuiapi.WebUIApi) -> None:
    loras = {lora["name"]: lora for lora in await called(api.get_loras)}
    assert loras["ember"]["path"] == "ember.safetensors"
    assert "Euler a" in await called(api.util_get_sampler_names)
    assert "karras" in await called(api.util_get_scheduler_names)
    assert [each["name"] for each in await called(api.get_upscalers)] == [
        "None",
        "Lanczos",
        "Nearest",
        "Twice as large",
    ]
    assert (await called(api.get_memory))["ram"]["total"] > 0
    assert (await called(api.get_cmd_flags))["api"] is True
    assert (await called(api.get_embeddings)).keys() == {"loaded", "skipped"}
    assert await called(api.get_scripts) == {"txt2img": ["controlnet"], "img2img": ["controlnet"]}
    for none in (
        api.get_prompt_styles,
        api.get_hypernetworks,
        api.get_face_restorers,
        api.get_realesrgan_models,
        api.get_latent_upscale_modes,
    ):
        assert await called(none) == []
    listed = json.dumps([await called(api.get_sd_models), await called(api.get_sd_vae), *loras])
    assert str(server.home.folder) not in listed


async def test_new_files_are_found_at_once(server: Server) -> None:
    for what in ("checkpoints", "loras", "vae", "embeddings"):
        assert await told(server, "POST", f"refresh-{what}") == (200, None)


async def test_a_checkpoint_that_is_gone_is_replaced_and_named(home: Home) -> None:
    async with Server(home) as server:
        await told(server, "POST", "options", json={"sd_model_checkpoint": "bright"})
        models = home.catalog_dir / "models.toml"
        text = models.read_text(encoding="utf-8").replace("[models.bright]", "[models.other]")
        models.write_text(text, encoding="utf-8")
        await told(server, "POST", "refresh-checkpoints")
        assert (await told(server, "GET", "options"))[1]["sd_model_checkpoint"] == "demo"
        info = json.loads((await told(server, "POST", "txt2img", json=QUICK))[1]["info"])
        assert info["sd_model_name"] == "demo"
        assert info["warnings"] == [
            "The model bright, which you chose earlier, isn't available any more."
            " demo was used instead."
        ]
