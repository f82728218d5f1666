"""AUTOMATIC1111's interface, as the unmodified client `webuiapi` uses it."""

import asyncio
import base64
import io
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import webuiapi
from PIL import Image

from bot.files.metadata import read_png
from tests.e2e.automatic import QUICK, called, sent, told, until_running
from tests.e2e.conftest import CANARY
from tests.e2e.home import Home, call
from tests.e2e.server import Server
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Any
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("automatic"), models_dir)
    async with Server(home, IMAGEN_PREVIEW="true") as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log


@pytest_asyncio.fixture(loop_scope="session")
async def api(server: Server, monkeypatch: pytest.MonkeyPatch) -> webuiapi.WebUIApi:
    monkeypatch.setenv("NO_PROXY", "*")
    return await asyncio.to_thread(webuiapi.WebUIApi, port=server.port)


class TestTxt2Img:
    async def test_the_same_seed_gives_the_same_bytes_as_the_original_interface(
        self, server: Server, api: webuiapi.WebUIApi
    ) -> None:
        result = await called(
            api.txt2img,
            prompt=f"{CANARY} <lora:frost:0.5><lora:ember:0.75>",
            negative_prompt="noise",
            steps=10,
            cfg_scale=8.5,
            seed=42,
            width=64,
            height=80,
            n_iter=2,
            sampler_name="DPM++ 2M",
            scheduler="Karras",
        )
        accepted = await server.generate(
            prompt=CANARY,
            negative_prompt="noise",
            loras=[{"name": "frost", "weight": 0.5}, {"name": "ember", "weight": 0.75}],
            steps=10,
            guidance_scale=8.5,
            seed=42,
            width=64,
            height=80,
            count=2,
            scheduler="DPM++ 2M Karras",
        )
        await server.done(accepted["job_id"])
        for n, data in enumerate(sent(result), 1):
            image = await server.client.get(f"/image/{accepted['job_id']}/{n}")
            assert data == image.content
        assert [image.size for image in result.images] == [(64, 80)] * 2

    async def test_a_variation_of_a_seed(self, api: webuiapi.WebUIApi) -> None:
        varied = {"seed": 7, "subseed": 12, "subseed_strength": 0.5}
        result = await called(api.txt2img, **QUICK, **varied, batch_size=2)
        info = result.info
        assert (info["seed"], info["all_seeds"]) == (7, [7, 7])
        assert (info["subseed"], info["all_subseeds"]) == (12, [12, 13])
        assert (info["subseed_strength"], info["warnings"]) == (0.5, [])
        again = await called(api.txt2img, **QUICK, **varied | {"subseed": 13})
        assert [each.tobytes() for each in again.images] == [result.images[1].tobytes()]

    async def test_info_says_how(self, api: webuiapi.WebUIApi) -> None:
        result = await called(api.txt2img, **QUICK, seed=7, batch_size=2)
        info = result.info
        assert (info["seed"], info["all_seeds"]) == (7, [7, 8])
        assert info["all_prompts"] == [CANARY, CANARY]
        assert (info["width"], info["height"], info["steps"]) == (64, 64, 2)
        assert (info["sampler_name"], info["cfg_scale"]) == ("Euler a", 7.0)
        assert info["infotexts"] == [read_png(data).parameters for data in sent(result)]
        assert info["sd_model_name"] == "demo"
        assert info["warnings"] == []
        assert result.parameters["seed"] == 7
        assert result.image.info["parameters"] == info["infotexts"][0]

    async def test_a_seed_of_minus_one_is_drawn(self, api: webuiapi.WebUIApi) -> None:
        seeds = {(await called(api.txt2img, **QUICK)).info["seed"] for _ in range(3)}
        assert len(seeds) > 1

    async def test_a_second_pass(self, api: webuiapi.WebUIApi) -> None:
        result = await called(
            api.txt2img,
            **QUICK,
            enable_hr=True,
            hr_scale=1.5,
            hr_second_pass_steps=3,
            denoising_strength=0.5,
        )
        assert result.image.size == (96, 96)
        assert "Denoising strength: 0.5" in result.info["infotexts"][0]
        assert "Hires steps: 3" in result.info["infotexts"][0]
        assert result.info["warnings"] == [
            "hr_upscaler was ignored. This server doesn't support it."
        ]

    async def test_what_was_left_out_is_named(self, server: Server) -> None:
        body = {
            **QUICK,
            "restore_faces": True,
            "alwayson_scripts": {"roop": {"args": [1]}},
            "new": 1,
        }
        _, answer = await told(server, "POST", "txt2img", json=body)
        assert json.loads(answer["info"])["warnings"] == [
            "There's no field called new.",
            "restore_faces was ignored. This server doesn't support it.",
            "There's no script called “roop”, so it was ignored.",
        ]
        assert "new" not in answer["parameters"]

    async def test_images_need_not_be_sent(self, server: Server) -> None:
        status, answer = await told(server, "POST", "txt2img", json={**QUICK, "send_images": False})
        assert (status, answer["images"]) == (200, [])
        assert len(json.loads(answer["info"])["infotexts"]) == 1

    @pytest.mark.parametrize(
        ("fields", "status", "said"),
        [
            ({"sampler_name": "Restart"}, 404, "sampler_name: there's no “Restart”"),
            ({"script_name": "X/Y/Z plot"}, 422, "There's no script called “X/Y/Z plot”."),
            (
                {"scheduler": "Beta"},
                400,
                "The sampler DPM++ 2M doesn't work with the schedule Beta",
            ),
            ({"steps": 0}, 400, "steps: 0 won't work."),
            ({"cfg_scale": 31}, 400, "cfg_scale: 31.0 won't work."),
            ({"n_iter": 3, "batch_size": 2}, 400, "batch_size × n_iter: 6 won't work."),
            ({"enable_hr": True, "hr_scale": 3}, 400, "hr_scale: 3.0 won't work."),
            ({"prompt": ""}, 400, "The prompt is empty."),
            (
                {"override_settings": {"sd_model_checkpoint": "gone.safetensors"}},
                400,
                "Model 'gone.safetensors' is not available.",
            ),
            ({"prompt": "<lora:nope:1> a"}, 400, "LoRA 'nope' is not available."),
        ],
    )
    async def test_what_is_not_possible_is_refused(
        self, server: Server, fields: dict[str, Any], status: int, said: str
    ) -> None:
        answered, body = await told(server, "POST", "txt2img", json={**QUICK, **fields})
        assert answered == status
        assert list(body) == ["error", "detail", "body", "errors"]
        assert said in body["detail"]

    @pytest.mark.parametrize(
        "fields",
        [
            {"\ud800": 1},
            {"script_args": ["\ud800"]},
            {"override_settings": {"sd_model_checkpoint": "\ud800"}},
        ],
    )
    async def test_half_a_character_is_refused(
        self, server: Server, fields: dict[str, Any]
    ) -> None:
        text = json.dumps({**QUICK, **fields})
        headers = {"Content-Type": "application/json"}
        status, body = await told(server, "POST", "txt2img", content=text, headers=headers)
        assert (status, body["error"]) == (400, "InvalidRequest")

    async def test_a_wrong_type_is_named_as_fastapi_does(self, server: Server) -> None:
        status, body = await told(server, "POST", "txt2img", json={**QUICK, "steps": "many"})
        assert (status, body["detail"][0]["loc"]) == (422, ["body", "steps"])

    async def test_a_caller_who_hangs_up_cancels_the_job(self, server: Server) -> None:
        body = {"prompt": CANARY, "steps": 100, "width": 512, "height": 512, "batch_size": 4}
        calling = asyncio.create_task(server.client.post("/sdapi/v1/txt2img", json=body))
        while (await told(server, "GET", "progress"))[1]["state"]["job_count"] != 4:
            pass
        calling.cancel()
        async with asyncio.timeout(60):  # it would take longer to paint
            while (await told(server, "GET", "progress"))[1]["state"]["job_count"]:
                pass
        assert server.home.states()[-1] == "cancelled"


class TestImg2Img:
    async def test_from_an_image(self, api: webuiapi.WebUIApi) -> None:
        yellow = Image.new("RGB", (80, 64), "yellow")
        result = await called(
            api.img2img,
            images=[yellow],
            prompt=CANARY,
            steps=4,
            width=64,
            height=64,
            denoising_strength=0.5,
            seed=3,
        )
        assert result.image.size == (64, 64)
        assert "Denoising strength: 0.5" in result.info["infotexts"][0]
        assert result.parameters["init_images"] is None

    async def test_it_is_stretched_unless_it_is_to_be_cropped(self, api: webuiapi.WebUIApi) -> None:
        wide = Image.linear_gradient("L").resize((128, 64)).rotate(90).convert("RGB")
        square = wide.resize((64, 64), Image.Resampling.LANCZOS)
        body = {**QUICK, "seed": 3}
        stretched = await called(api.img2img, images=[wide], **body)
        assert sent(stretched) == sent(await called(api.img2img, images=[square], **body))
        cropped = await called(api.img2img, images=[wide], resize_mode=1, **body)
        assert sent(cropped) != sent(stretched)

    async def test_a_part_of_it(self, server: Server, api: webuiapi.WebUIApi) -> None:
        picture = Image.merge("RGB", [Image.radial_gradient("L").resize((64, 64))] * 3)
        left, right = Image.new("L", (64, 64)), Image.new("L", (64, 64), 255)
        for mask, colour in ((left, 255), (right, 0)):
            mask.paste(colour, (0, 0, 24, 64))
        body = {**QUICK, "steps": 4, "seed": 3, "images": [picture]}
        whole = {"inpaint_full_res": False}
        result = await called(api.img2img, mask_image=left, mask_blur=8, **whole, **body)
        kept = (40, 0, 64, 64)
        assert result.image.crop(kept).tobytes() == picture.crop(kept).tobytes()
        assert result.image.tobytes() != picture.tobytes()
        assert "Mask mode: Inpaint masked" in result.info["infotexts"][0]
        assert result.parameters["mask"] is None
        told = " ".join(result.info["warnings"])
        for name in ("mask_blur", "inpainting_fill"):
            assert f"{name} was ignored" in told
        inverted = {"mask_image": right, "inpainting_mask_invert": 1}
        as_here = {"inpainting_fill": 1, "inpaint_full_res": False}
        again = await called(api.img2img, **inverted, **as_here, **body)
        assert sent(again) == sent(result)
        of_client = {"scheduler": "Euler a", "guidance_scale": 7, "negative_prompt": ""}
        asked = {**QUICK, "steps": 4, "seed": 3, "strength": 0.75, **of_client}
        files = {"image": webuiapi.b64_img(picture), "mask": webuiapi.b64_img(left)}
        accepted = await server.generate(**asked, **files)
        await server.done(accepted["job_id"])
        image = await server.client.get(f"/image/{accepted['job_id']}")
        assert sent(result) == [image.content]

    async def test_a_mask_is_stretched_as_its_image_is(self, api: webuiapi.WebUIApi) -> None:
        wide = Image.linear_gradient("L").resize((128, 64)).rotate(90).convert("RGB")
        mask = Image.new("L", (32, 64))
        mask.paste(255, (0, 0, 32, 16))
        whole = {"inpaint_full_res": False}
        body = {**QUICK, **whole, "seed": 3, "images": [wide], "mask_image": mask}
        result = await called(api.img2img, **body)
        kept = (0, 32, 64, 64)
        stretched = wide.resize((64, 64), Image.Resampling.LANCZOS)
        assert result.image.crop(kept).tobytes() == stretched.crop(kept).tobytes()
        with pytest.raises(RuntimeError, match="Make the mask the same shape as the image"):
            await called(api.img2img, resize_mode=1, **body)

    async def test_only_what_is_masked_is_painted(self, api: webuiapi.WebUIApi) -> None:
        """At the size that is asked for, in a picture that keeps its own, as there."""
        picture = Image.merge("RGB", [Image.radial_gradient("L").resize((200, 100))] * 3)
        mask = Image.new("L", picture.size)
        mask.paste(255, (60, 30, 90, 60))
        result = await called(
            api.img2img,
            images=[picture],
            mask_image=mask,
            inpaint_full_res_padding=16,
            inpainting_fill=1,
            **{**QUICK, "seed": 3},
        )
        assert result.image.size == picture.size
        for kept in ((0, 0, 52, 100), (98, 0, 200, 100)):
            assert result.image.crop(kept).tobytes() == picture.crop(kept).tobytes()
        assert result.image.tobytes() != picture.tobytes()
        text = result.info["infotexts"][0]
        assert "Inpaint area: Only masked, Masked area padding: 16" in text
        assert result.info["extra_generation_params"]["Masked area padding"] == "16"
        assert result.info["warnings"] == []

    async def test_a_mask_for_latents_alone_is_refused(self, server: Server) -> None:
        body = {**QUICK, "init_images": ["AAAA"], "latent_mask": "AAAA"}
        status, answer = await told(server, "POST", "img2img", json=body)
        assert (status, answer["detail"].split()[0]) == (400, "latent_mask")

    async def test_an_image_is_needed(self, api: webuiapi.WebUIApi) -> None:
        with pytest.raises(RuntimeError, match="init_images: send exactly one image, not 0"):
            await called(api.img2img, **QUICK)


class TestControlNets:
    @staticmethod
    def shape() -> Image.Image:
        image = Image.new("RGB", (64, 64), "white")
        image.paste((200, 30, 30), (12, 12, 52, 52))
        return image

    async def test_units_of_its_client(self, server: Server, api: webuiapi.WebUIApi) -> None:
        [name] = await called(api.controlnet_model_list)
        assert {"canny", "none"} <= {*(await called(api.controlnet_module_list))}
        assert await called(api.controlnet_version) == 3
        answer = await server.client.get("/controlnet/settings")
        assert answer.json() == {"control_net_unit_count": 2}
        unit = webuiapi.ControlNetUnit(
            image=self.shape(),
            model=name,
            module="canny",
            weight=0.8,
            guidance_end=0.6,
            resize_mode="Crop and Resize",
            pixel_perfect=True,
            threshold_a=100,
            threshold_b=200,
        )
        body = {**QUICK, "steps": 4, "seed": 3}
        plain = await called(api.txt2img, **body)
        result = await called(api.txt2img, controlnet_units=[unit], **body)
        assert sent(result) != sent(plain)
        assert result.info["warnings"] == []
        assert 'ControlNet 0: "Module: canny, Model: canny [' in result.info["infotexts"][0]
        assert "Weight: 0.8" in result.info["extra_generation_params"]["ControlNet 0"]
        [echo] = result.parameters["alwayson_scripts"]["ControlNet"]["args"]
        assert (echo["image"], echo["weight"]) == (None, 0.8)
        of_client = {"scheduler": "Euler a", "guidance_scale": 7, "negative_prompt": ""}
        accepted = await server.generate(
            **body,
            **of_client,
            control="canny:0.8 until 60%",
            control_image=webuiapi.b64_img(self.shape()),
        )
        await server.done(accepted["job_id"])
        image = await server.client.get(f"/image/{accepted['job_id']}")
        assert sent(result) == [image.content]

    async def test_maps_alone_are_jobs_that_are_waited_for(
        self, server: Server, api: webuiapi.WebUIApi
    ) -> None:
        images = [self.shape(), self.shape().resize((128, 64))]
        result = await called(
            api.controlnet_detect,
            images=images,
            module="canny",
            processor_res=64,
            threshold_a=100,
            threshold_b=200,
        )
        assert result.info == "Success"
        assert [image.size for image in result.images] == [(64, 64), (128, 64)]
        colours = {colour for image in result.images for _, colour in image.getcolors()}
        assert colours == {(0, 0, 0), (255, 255, 255)}
        asked = server.home.requests()[-2:]
        assert [each["controls"][0]["type"] for each in asked] == ["canny"] * 2
        # Followed as a finished map, it is what the module makes.
        body = {**QUICK, "seed": 3}
        units = (
            {"model": "canny", "module": "canny", "image": webuiapi.raw_b64_img(images[0])},
            {"model": "canny", "image": webuiapi.raw_b64_img(result.images[0])},
        )
        made = []
        for unit in units:
            scripts = {"controlnet": {"args": [unit]}}
            _, answer = await told(
                server, "POST", "txt2img", json={**body, "alwayson_scripts": scripts}
            )
            [data] = answer["images"]
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                made.append(image.tobytes())
        assert made[0] == made[1]

    @pytest.mark.parametrize(
        ("fields", "status", "said"),
        [
            ({"controlnet_module": "mlsd"}, 400, "mlsd"),
            ({"controlnet_module": "none"}, 400, "none"),
            ({"controlnet_module": "openpose"}, 400, "skeleton"),
            ({"controlnet_input_images": []}, 400, "controlnet_input_images"),
            ({"controlnet_input_images": ["no"]}, 400, "controlnet_input_images[0]"),
            ({"controlnet_processor_res": 9000}, 400, "controlnet_processor_res"),
        ],
    )
    async def test_a_map_that_is_not_possible_is_refused(
        self, server: Server, fields: dict[str, Any], status: int, said: str
    ) -> None:
        image = webuiapi.raw_b64_img(self.shape())
        body = {"controlnet_module": "canny", "controlnet_input_images": [image], **fields}
        answer = await server.client.post("/controlnet/detect", json=body)
        assert (answer.status_code, said in str(answer.json()["detail"])) == (status, True)

    async def test_what_has_no_effect_on_a_map_is_named(self, server: Server) -> None:
        image = webuiapi.raw_b64_img(self.shape())
        body = {"controlnet_module": "scribble_hed", "controlnet_input_images": [image]}
        answer = await server.client.post("/controlnet/detect", json=body)
        [warning] = answer.json()["warnings"]
        assert "scribble_xdog was used instead" in warning
        types = (await server.client.get("/controlnet/control_types")).json()["control_types"]
        assert types["Canny"]["default_option"] == "canny"
        assert types["OpenPose"]["module_list"] == ["none", "openpose"]
        assert types["All"]["default_model"] == types["Canny"]["default_model"]

    async def test_follow_the_image_to_start_from(
        self, server: Server, api: webuiapi.WebUIApi
    ) -> None:
        unit = {"model": "canny", "module": "canny", "control_mode": 2}
        body = {**QUICK, "seed": 3, "init_images": [webuiapi.b64_img(self.shape())]}
        scripts = {"controlnet": {"args": [unit]}}
        status, answer = await told(
            server, "POST", "img2img", json={**body, "alwayson_scripts": scripts}
        )
        assert status == 200
        info = json.loads(answer["info"])
        assert "ControlNet 0" in info["extra_generation_params"]
        [warning] = info["warnings"]
        assert warning.startswith("alwayson_scripts.controlnet.args[0].control_mode was ignored")

    async def test_just_resize_stretches(self, server: Server) -> None:
        wide = self.shape().resize((128, 64))
        images = {}
        for mode, image in (("Just Resize", wide), ("Crop and Resize", wide), (1, self.shape())):
            unit = {"model": "canny", "module": "canny", "image": webuiapi.raw_b64_img(image)}
            scripts = {"controlnet": {"args": [{**unit, "resize_mode": mode}]}}
            body = {**QUICK, "seed": 3, "alwayson_scripts": scripts}
            status, answer = await told(server, "POST", "txt2img", json=body)
            assert (status, json.loads(answer["info"])["warnings"]) == (200, [])
            images[mode] = answer["images"]
        assert images["Just Resize"] != images["Crop and Resize"]

    @pytest.mark.parametrize(
        ("fields", "status", "said"),
        [
            ({"module": "openpose_faceonly"}, 400, "openpose_faceonly"),
            ({"weight": 3}, 422, "weight"),
            ({"model": "control_v11p_sd15_openpose [cab727d4]"}, 400, "canny"),
            ({"image": ""}, 400, "alwayson_scripts.controlnet"),
        ],
    )
    async def test_what_is_not_possible_is_named(
        self, server: Server, fields: dict[str, Any], status: int, said: str
    ) -> None:
        image = webuiapi.raw_b64_img(self.shape())
        unit = {"model": "canny", "module": "canny", "image": image, **fields}
        body = {**QUICK, "alwayson_scripts": {"controlnet": {"args": [unit]}}}
        found, answer = await told(server, "POST", "txt2img", json=body)
        assert (found, said in str(answer["detail"])) == (status, True)


async def test_an_image_is_read_and_enlarged(api: webuiapi.WebUIApi) -> None:
    result = await called(api.txt2img, **QUICK, seed=9)
    read = await called(api.png_info, result.image)
    assert read.info == result.info["infotexts"][0]
    assert read.parameters["Prompt"] == CANARY
    assert (read.parameters["Seed"], read.parameters["Size-1"]) == ("9", "64")
    larger = await called(api.extra_single_image, result.image, upscaler_1="Lanczos")
    assert larger.image.size == (128, 128)
    sharp = {"upscaler_1": "Twice as large", "upscaling_resize": 1.75}
    enlarged = await called(api.extra_single_image, result.image, **sharp)
    assert enlarged.image.size == (112, 112)
    plain = result.image.resize((112, 112), Image.Resampling.LANCZOS)
    assert enlarged.image.convert("RGB").tobytes() != plain.convert("RGB").tobytes()
    with pytest.raises(RuntimeError, match=r"Choose a value from 1\.0 to 4\.0"):
        await called(api.extra_single_image, result.image, **sharp | {"upscaling_resize": 8})
    with pytest.raises(RuntimeError, match="You can use None, Lanczos, Nearest, or Twice as large"):
        await called(api.extra_single_image, result.image, upscaler_1="R-ESRGAN 4x+")


class TestProgress:
    async def test_with_previews_and_interrupted(self, api: webuiapi.WebUIApi) -> None:
        body = {"prompt": CANARY, "steps": 100, "width": 512, "height": 512}
        painting = asyncio.create_task(called(api.txt2img, **body))
        seen = await until_running(api)
        assert seen["state"]["job_count"] == 1
        assert seen["state"]["sampling_steps"] == 100
        shares = [seen["progress"]]
        while seen["current_image"] is None:
            seen = await called(api.get_progress)
            shares.append(seen["progress"])
        assert shares == sorted(shares)
        assert Image.open(io.BytesIO(base64.b64decode(seen["current_image"]))).format == "JPEG"
        assert await called(api.interrupt) == {}
        result = await painting
        assert result.images == []
        assert result.info["warnings"] == ["The job was cancelled."]
        await called(api.util_wait_for_ready, 0.0)

    async def test_one_image_can_be_skipped(self, api: webuiapi.WebUIApi) -> None:
        body = {"prompt": CANARY, "steps": 100, "width": 512, "height": 512}
        painting = asyncio.create_task(called(api.txt2img, **body))
        await until_running(api)
        assert await called(api.skip) is None
        assert (await painting).images == []

    async def test_one_of_several_cannot(self, api: webuiapi.WebUIApi) -> None:
        body = {"prompt": CANARY, "steps": 100, "width": 512, "height": 512, "n_iter": 2}
        painting = asyncio.create_task(called(api.txt2img, **body))
        await until_running(api)
        assert "interrupt" in (await called(api.skip))["detail"]
        await called(api.interrupt)
        await painting


async def test_each_key_has_its_own_jobs_and_checkpoint(home: Home) -> None:
    keys = [(await call(home, "keys", "add", name))[1].strip() for name in ("ada", "bob")]
    ada, bob = ({"auth": ("a1111", key)} for key in keys)
    async with Server(home) as server:
        assert (await told(server, "GET", "progress"))[0] == 401
        chosen = {"sd_model_checkpoint": "bright"}
        assert await told(server, "POST", "options", json=chosen, **ada) == (200, None)
        for key, model in ((ada, "bright"), (bob, "demo")):
            assert (await told(server, "GET", "options", **key))[1]["sd_model_checkpoint"] == model
        listed = (await told(server, "GET", "sd-models", **ada))[1]
        assert "adults" not in [model["model_name"] for model in listed]
        body = {"prompt": CANARY, "steps": 100, "width": 512, "height": 512}
        body |= {"override_settings": {"sd_model_checkpoint": "demo"}}
        painting = asyncio.create_task(told(server, "POST", "txt2img", json=body, **ada))
        while not (await told(server, "GET", "progress", **ada))[1]["state"]["job_count"]:
            pass
        assert (await told(server, "GET", "progress", **bob))[1]["state"]["job_count"] == 0
        await told(server, "POST", "interrupt", **bob)
        assert (await told(server, "GET", "progress", **ada))[1]["state"]["job_count"] == 1
        await told(server, "POST", "interrupt", **ada)
        assert (await painting)[1]["images"] == []


@pytest.mark.long
async def test_a_job_outlives_the_process_though_its_caller_does_not(home: Home) -> None:
    body = {"prompt": CANARY, "steps": 100, "width": 320, "height": 320}
    async with Server(home) as server:
        calling = asyncio.create_task(server.client.post("/sdapi/v1/txt2img", json=body))
        while not (await told(server, "GET", "progress"))[1]["state"]["sampling_step"]:
            pass
        server.send(signal.SIGTERM)
        assert await server.wait() == 0
        await asyncio.wait({calling})
        assert calling.exception() or calling.result().is_server_error
        assert home.states() == ["pending"]
        await server.start()
        await until(lambda: home.states() == ["delivered"], times=600)
