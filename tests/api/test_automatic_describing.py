"""Answers in AUTOMATIC1111's form."""

import json
from dataclasses import replace

from bot.api.automatic.bodies import Img2Img, Txt2Img
from bot.api.automatic.describing import (
    IDLE,
    Outcome,
    info,
    memory,
    parameters,
    png_info,
    progress,
)
from bot.api.openai.answering import revised_prompt
from bot.files.metadata import IMAGEN, PngMetadata, infotext
from bot.progress import Progress, Stage
from bot.recipe import Weights
from bot.request import ControlUse, DrawnPrompts, Hires, InitImage, Template, Variation
from bot.store import JobState
from tests.store.factories import any_job, recipe, record, request


class TestProgress:
    def test_without_a_job(self) -> None:
        assert progress([], None) == {
            "progress": 0.0,
            "eta_relative": 0.0,
            "state": IDLE,
            "current_image": None,
            "textinfo": None,
        }

    def test_of_one_that_waits(self) -> None:
        job = any_job(request(count=3), state=JobState.PENDING)
        now = Progress(Stage.QUEUED, position=2, image=1)
        found = progress([(job, now)], None)
        assert found["progress"] == 0.0
        state = found["state"]
        assert (state["job"], state["job_count"], state["job_no"]) == ("scripts_txt2img", 3, 0)
        assert (state["sampling_step"], state["sampling_steps"]) == (0, 10)

    def test_of_one_that_runs_before_others(self) -> None:
        job = any_job(request(count=2, init_image=InitImage("a" * 64, 0.5)), state=JobState.RUNNING)
        now = Progress(Stage.PAINTING, step=3, steps=6, image=2, count=2)
        found = progress([(job, now), (any_job(), None)], "AAAA")
        assert (found["progress"], found["current_image"]) == (0.75, "AAAA")
        state = found["state"]
        assert (state["job"], state["job_count"], state["job_no"]) == ("scripts_img2img", 3, 1)
        assert (state["sampling_step"], state["sampling_steps"]) == (3, 6)


class TestInfo:
    def test_of_an_image_in_two_passes(self) -> None:
        asked = request(scheduler="DPM++ 2M Karras", hires=Hires(1.5, 0.5, 20), clip_skip=3)
        job = any_job(asked, recipe=recipe(asked))
        body = Txt2Img(prompt="a <lora:ink:0.6>", batch_size=1)
        found = json.loads(info(body, Outcome(job, [record()], ["careful"])))
        assert (found["prompt"], found["width"], found["height"]) == ("a <lora:ink:0.6>", 64, 48)
        assert (found["sampler_name"], found["denoising_strength"]) == ("DPM++ 2M", 0.5)
        assert found["extra_generation_params"] == {
            "Schedule type": "Karras",
            "Hires upscale": "1.5",
            "Hires steps": "10",
            "Lora hashes": "ink: cccccccccccc",
        }
        assert (found["clip_skip"], found["sd_model_hash"]) == (3, "a" * 10)
        assert (found["job_id"], found["warnings"]) == (job.id, ["careful"])
        assert found["infotexts"] == [infotext(recipe(asked), 42)]

    def test_of_one_that_follows_others(self) -> None:
        use = ControlUse("canny", "a" * 64, "canny", 0.8)
        asked = request(controls=(use,))
        made = replace(recipe(asked), controls=(Weights("canny", "e" * 64, "e" * 10),))
        found = json.loads(info(Txt2Img(), Outcome(any_job(asked, recipe=made), [record()], [])))
        unit = found["extra_generation_params"]["ControlNet 0"]
        assert unit.startswith("Module: canny, Model: canny [eeeeeeeeee], Weight: 0.8, ")
        assert f'ControlNet 0: "{unit}"' in found["infotexts"][0]

    def test_of_variations(self) -> None:
        asked = request(seed=12, count=2, variation=Variation(7, 0.25))
        job = any_job(asked, recipe=recipe(asked))
        images = [record(n=n, seed=12 + n) for n in range(2)]
        found = json.loads(info(Txt2Img(prompt="a"), Outcome(job, images, [])))
        assert (found["seed"], found["all_seeds"]) == (7, [7, 7])
        assert (found["subseed"], found["all_subseeds"]) == (12, [12, 13])
        assert found["subseed_strength"] == 0.25
        assert "Seed: 7" in found["infotexts"][1]
        assert "Variation seed: 13, Variation seed strength: 0.25" in found["infotexts"][1]
        assert found["extra_generation_params"]["Variation seed"] == "12"

    def test_without_one_each_seed_is_its_own(self) -> None:
        asked = request(count=2)
        images = [record(n=n, seed=42 + n) for n in range(2)]
        job = any_job(asked, recipe=recipe(asked))
        found = json.loads(info(Txt2Img(prompt="a"), Outcome(job, images, [])))
        assert found["all_seeds"] == found["all_subseeds"] == [42, 43]
        assert found["subseed_strength"] == 0

    def test_of_images_with_texts_of_their_own(self) -> None:
        others = (DrawnPrompts("a green fox", "rain"), DrawnPrompts("a red fox", "snow"))
        asked = request(
            prompt="a red fox",
            negative="snow",
            trigger_words=(),
            count=3,
            template=Template("a {red|green} fox", "{snow|rain}", 1),
            others=others,
        )
        job = any_job(asked, recipe=recipe(asked))
        images = [record(n=n, seed=asked.image_seed(n)) for n in range(3)]
        body = Txt2Img(prompt="a {red|green} fox", negative_prompt="{snow|rain}")
        found = json.loads(info(body, Outcome(job, images, [])))
        assert found["prompt"] == "a red fox"
        assert found["all_prompts"] == ["a red fox", "a green fox", "a red fox"]
        assert found["all_negative_prompts"] == ["snow", "rain", "snow"]
        assert [text.partition(" <lora")[0] for text in found["infotexts"]] == [
            *found["all_prompts"]
        ]
        revised = [revised_prompt(job, image.seed) for image in images]
        assert revised == found["all_prompts"]

    def test_of_a_job_that_was_cancelled(self) -> None:
        found = json.loads(info(Txt2Img(), Outcome(any_job(), [], [])))
        assert (found["all_seeds"], found["infotexts"], found["seed"]) == ([], [], 42)


class TestParameters:
    def test_have_what_was_used_for_what_was_not_sent(self) -> None:
        found = parameters(Txt2Img(prompt="a", seed=-1, cfg_scale=3), any_job())
        assert (found["steps"], found["width"], found["sampler_name"]) == (10, 64, "Euler")
        assert (found["negative_prompt"], found["cfg_scale"]) == ("low quality", 3)
        assert found["tiling"] is False
        assert (found["prompt"], found["seed"]) == ("a", -1)

    def test_have_images_only_if_asked_for(self) -> None:
        body = Img2Img(init_images=["AAAA"])
        assert parameters(body, any_job())["init_images"] is None
        body.include_init_images = True
        assert parameters(body, any_job())["init_images"] == ["AAAA"]

    def test_have_no_images_that_are_followed(self) -> None:
        unit = {"model": "canny", "image": "AAAA", "mask": "BBBB", "weight": 0.5}
        scripts = {"ControlNet": {"args": [unit, False]}, "other": {"args": ["CCCC"]}}
        found = parameters(Txt2Img(alwayson_scripts=scripts), any_job())
        kept = {"model": "canny", "image": None, "mask": None, "weight": 0.5}
        assert found["alwayson_scripts"] == {
            "ControlNet": {"args": [kept]},
            "other": {"args": ["CCCC"]},
        }
        assert unit["image"] == "AAAA"

    def test_have_nothing_that_is_not_known(self) -> None:
        body = Txt2Img.model_validate({"auth": "user:secret"})
        assert "auth" not in parameters(body, any_job())


class TestPngInfo:
    def test_of_one_of_ours(self) -> None:
        text = infotext(recipe(), 7)
        found = png_info(PngMetadata(text, recipe(), 7))
        assert found["info"] == text
        assert (found["parameters"]["Seed"], found["parameters"]["Size-2"]) == ("7", "48")
        assert json.loads(found["items"][IMAGEN])["seed"] == 7

    def test_of_an_image_that_says_nothing(self) -> None:
        assert png_info(PngMetadata(None, None, None)) == {
            "info": "",
            "items": {},
            "parameters": {},
        }


def test_memory() -> None:
    assert memory(100, 30, {}) == {
        "ram": {"free": 70, "used": 30, "total": 100},
        "cuda": {"error": "unavailable"},
    }
    gpu = memory(100, 30, {"allocated": 1, "reserved": 2, "free": 5, "total": 8})["cuda"]
    assert gpu["system"] == {"free": 5, "used": 3, "total": 8}
    assert (gpu["allocated"], gpu["reserved"]) == ({"current": 1}, {"current": 2})
