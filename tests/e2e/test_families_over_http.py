"""Models of the families without brackets, negative prompts and the like, as programs ask them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.api.original.examples import LORA, MODEL
from tests.e2e.conftest import CANARY
from tests.e2e.home import call
from tests.e2e.server import Server
from tests.e2e.test_families import FITTING, home_in
from tests.e2e.test_pictures import picture
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")

USUAL: dict[str, Any] = {
    "prompt": CANARY,
    "negative_prompt": "fog",
    "cfg_scale": 7,
    "sampler_name": "Euler a",
    "steps": 2,
    "width": 64,
    "height": 64,
}
"""What clients of AUTOMATIC1111 send, whatever the model."""
LONG = f"{CANARY} {'7 ' * 900}"
"""As many characters as are taken, and more tokens than a model reads."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    home = home_in(tmp_path_factory.mktemp("families"), models_dir)
    with (home.catalog_dir / "loras.toml").open("a", encoding="utf-8") as file:
        # It does not say for which models it is; its file says for which family.
        file.write('[loras.any-klein]\nname = "Any"\npath = "families/klein.safetensors"\n')
    async with Server(home) as started:
        yield started
        assert CANARY not in started.log


async def posted(server: Server, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    answer = await server.client.post(path, json=body)
    return answer.status_code, answer.json()


@pytest.mark.long
async def test_what_each_model_does_and_which_loras_fit_it(server: Server) -> None:
    models = {each["key"]: each for each in (await server.client.get("/models")).json()}
    assert models["klein"].keys() == MODEL.keys()
    said = {
        key: (models[key]["family"], models[key]["variant"], models[key]["edits"])
        for key in ("small", "klein", "turbo", "lines", "colours", "kontext", "krea")
    }
    assert said == {
        "small": ("sd15", None, 0),
        "klein": ("flux2", "distilled", 4),
        "turbo": ("zimage", "turbo", 0),
        "lines": ("anima", "base", 0),
        "colours": ("chroma", None, 0),
        "kontext": ("flux1", "kontext", 1),
        # Its index says that it is distilled.
        "krea": ("krea2", "turbo", 0),
    }
    assert models["klein"]["takes"] == {
        "negative_prompt": False,
        "guidance_scale": False,
        "image": True,
        "reference": False,
        "control": False,
        "tile": False,
        "brackets": False,
    }
    assert models["klein"]["bases"] == ["FLUX.2 klein 4B", "FLUX.2 klein", "FLUX.1/FLUX.2 klein"]
    loras: dict[str, Any] = {}
    async with asyncio.timeout(60):  # files are read in the background
        read = ("any-klein", *(f"for-{key}" for key in models if key in FITTING))
        while not loras or any(loras[key]["base"] is None for key in read):
            loras = {each["key"]: each for each in (await server.client.get("/loras")).json()}
            await asyncio.sleep(0.1)
    assert loras["for-klein"].keys() == LORA.keys()
    assert loras["any-klein"]["models"] == ["klein"]
    assert loras["any-klein"]["base"] in models["klein"]["bases"]
    for key in ("small", "klein", "turbo", "lines", "colours", "kontext", "krea"):
        assert loras[f"for-{key}"]["models"] == [key]


@pytest.mark.parametrize(
    "model", mostly_long(["klein", "turbo", "lines", "colours", "kontext", "krea"], usual=1)
)
async def test_a_client_of_automatic1111_needs_to_know_no_family(
    server: Server, model: str
) -> None:
    settings = {"sd_model_checkpoint": model, "CLIP_stop_at_last_layers": 2}
    body = {**USUAL, "override_settings": settings}
    status, answer = await posted(server, "/sdapi/v1/txt2img", body)
    assert (status, len(answer["images"])) == (200, 1)
    warnings = json.loads(answer["info"])["warnings"]
    assert f"{model} can't use the sampler Euler a. Euler was used instead." in warnings
    clip_skip = "override_settings.CLIP_stop_at_last_layers"
    assert f"{clip_skip} was ignored. {model} doesn't take it." in warnings
    assert len(warnings) == {"lines": 2, "colours": 2, "kontext": 3}.get(model, 4)


@pytest.mark.long
async def test_brackets_are_named_in_every_interface(server: Server) -> None:
    said = "klein reads prompts as they are"
    asked = {"prompt": f"({CANARY}:1.3) in [snow]", "model": "klein", "steps": 1}
    _, queued = await posted(server, "/generate", asked)
    status = await server.client.get(f"/status/{queued['job_id']}", params={"wait": 60})
    assert [warning.startswith(said) for warning in status.json()["warnings"]] == [True]
    assert "(a:1.2), [a]" in status.json()["warnings"][0]
    _, images = await posted(server, "/v1/images/generations", asked)
    assert images["warnings"] == status.json()["warnings"]
    body = {
        **USUAL,
        "prompt": asked["prompt"],
        "override_settings": {"sd_model_checkpoint": "klein"},
    }
    _, answer = await posted(server, "/sdapi/v1/txt2img", body)
    assert json.loads(answer["info"])["warnings"][-1] == images["warnings"][0]
    options = ("--model", "klein", "--steps", "1", "--server", server.url)
    code, out, err = await call(server.home, "imagine", str(asked["prompt"]), *options)
    assert code == 0
    assert said in out + err


@pytest.mark.long
async def test_a_prompt_of_too_many_tokens_is_the_callers_mistake(server: Server) -> None:
    for model in ("klein", "turbo", "lines", "colours"):
        status, answer = await posted(
            server, "/v1/images/generations", {"prompt": LONG, "model": model}
        )
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
        assert answer["error"]["param"] == "prompt"
        assert f"{model} reads" in answer["error"]["message"]
        chosen = {"override_settings": {"sd_model_checkpoint": model}}
        body = {**USUAL, **chosen, "prompt": LONG, "negative_prompt": ""}
        status, refused = await posted(server, "/sdapi/v1/txt2img", body)
        assert (status, refused["detail"]) == (400, answer["error"]["message"])
        _, queued = await posted(server, "/generate", {"prompt": LONG, "model": model})
        ended = await server.client.get(f"/status/{queued['job_id']}", params={"wait": 60})
        assert (ended.json()["status"], ended.json()["error"]) == ("failed", refused["detail"])


@pytest.mark.parametrize(
    ("size", "code"), [((30, 20), "picture.small"), ((900, 70), "picture.narrow")]
)
async def test_images_that_cannot_be_edited_are_never_queued(
    server: Server, size: tuple[int, int], code: str
) -> None:
    before = len(server.home.requests())
    image = base64.b64encode(picture(size)).decode()
    body = {"prompt": CANARY, "edit": [image]}
    status, refused = await posted(server, "/generate", body)
    assert (status, refused["code"]) == (400, code)
    assert f"{size[0]}×{size[1]}" in refused["detail"]
    edited: dict[str, Any] = {"prompt": CANARY, "model": "klein"}
    edited["images"] = [{"image_url": f"data:;base64,{image}"}]
    status, answer = await posted(server, "/v1/images/edits", edited)
    assert (status, answer["error"]["message"]) == (400, refused["detail"])
    assert len(server.home.requests()) == before
