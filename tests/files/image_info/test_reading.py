"""Each program's files, built as its own code writes them, read to the same ImageInfo."""

import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.errors import InvalidRequest
from bot.files.image_info import ImageInfo, NamedFile, NamedLora, read_info
from bot.files.image_info.exif import TEXT_MAX
from bot.files.image_info.telling import as_text
from bot.files.metadata import infotext
from bot.request.dialects.infotext import parse_infotext
from tests.files.image_info import samples, writers
from tests.files.image_info.samples import NEGATIVE, PROMPT, SHA256
from tests.files.pngs import encode_png
from tests.files.recipes import RECIPE

INK = "0123456789ab"


def info(data: bytes) -> ImageInfo:
    found = read_info(data)
    assert found is not None
    return found


def core(found: ImageInfo) -> dict[str, Any]:
    """What all programs say of an image."""
    return {
        "prompt": found.prompt,
        "negative": found.negative,
        "seed": found.seed,
        "steps": found.steps,
        "guidance": found.guidance,
        "size": found.size,
    }


SAME = {
    "prompt": PROMPT,
    "negative": NEGATIVE,
    "seed": 1234567890,
    "steps": 25,
    "guidance": 6.5,
    "size": (832, 1216),
}
SWARM_JSON = json.dumps(samples.SWARMUI, indent=2)
FOOOCUS_JSON = json.dumps(samples.FOOOCUS)
FILES: dict[str, tuple[str, bytes]] = {
    "a1111 png": ("AUTOMATIC1111", writers.png({"parameters": samples.A1111})),
    "a1111 zTXt": ("AUTOMATIC1111", writers.png({"parameters": samples.A1111}, compressed=True)),
    "a1111 jpeg": ("AUTOMATIC1111", writers.with_comment(samples.A1111, "JPEG")),
    "a1111 webp": ("AUTOMATIC1111", writers.with_comment(samples.A1111, "WEBP")),
    "forge png": ("Forge", writers.png({"parameters": samples.FORGE})),
    "stealth extension": ("AUTOMATIC1111", writers.stealth(samples.A1111, compressed=False)),
    "stealth in colours": ("AUTOMATIC1111", writers.stealth(samples.A1111, colours=True)),
    "comfyui png": (
        "ComfyUI",
        writers.png(
            {
                "prompt": json.dumps(samples.COMFYUI_PROMPT),
                "workflow": json.dumps(samples.COMFYUI_WORKFLOW),
            }
        ),
    ),
    "comfyui drawn": ("ComfyUI", writers.png({"workflow": json.dumps(samples.COMFYUI_WORKFLOW)})),
    "comfyui webp": (
        "ComfyUI",
        writers.comfyui(samples.COMFYUI_PROMPT, samples.COMFYUI_WORKFLOW, "WEBP"),
    ),
    "comfyui jpeg": (
        "ComfyUI",
        writers.comfyui(samples.COMFYUI_PROMPT, samples.COMFYUI_WORKFLOW, "JPEG"),
    ),
    "invokeai": ("InvokeAI", writers.png({"invokeai_metadata": json.dumps(samples.INVOKEAI)})),
    "swarmui png": ("SwarmUI", writers.png({"parameters": SWARM_JSON})),
    "swarmui jpeg": ("SwarmUI", writers.with_imagesharp_comment(SWARM_JSON, "JPEG")),
    "swarmui webp": ("SwarmUI", writers.with_imagesharp_comment(SWARM_JSON, "WEBP")),
    "swarmui stealth": ("SwarmUI", writers.stealth(SWARM_JSON, "WEBP")),
    "fooocus png": ("Fooocus", writers.fooocus(FOOOCUS_JSON, "fooocus", "PNG")),
    "fooocus jpeg": ("Fooocus", writers.fooocus(FOOOCUS_JSON, "fooocus", "JPEG")),
    "fooocus webp": ("Fooocus", writers.fooocus(FOOOCUS_JSON, "fooocus", "WEBP")),
    "fooocus a1111": ("Fooocus", writers.fooocus(samples.FOOOCUS_A1111, "a1111", "PNG")),
}


@pytest.mark.parametrize("name", FILES)
def test_every_program_says_the_same_of_one_image(name: str) -> None:
    program, data = FILES[name]
    found = info(data)
    assert found.program == program
    assert core(found) == SAME
    assert found.model is not None
    assert found.model.name == "sd_xl_base_1.0"
    assert [(lora.name, lora.weight) for lora in found.loras] == [("ink", 0.8)]
    assert found.sampler.removesuffix(" Karras") in ("DPM++ 2M", "dpmpp_2m")
    assert found.schedule.casefold() == "karras"


@pytest.mark.parametrize("name", ["png", "stealth"])
def test_novelai(name: str) -> None:
    hidden = samples.NOVELAI_JSON
    found = info(writers.png(samples.NOVELAI) if name == "png" else writers.stealth(hidden))
    assert core(found) == {**SAME, "prompt": f"{PROMPT}, girl, scarf"}
    assert (found.program, found.sampler, found.schedule) == ("NovelAI", "k_dpmpp_2m", "karras")
    assert found.model == NamedFile("NovelAI Diffusion V4.5 4BDE2A90")
    assert found.strength is None, "it was not painted over anything"
    assert found.rest == {
        "uncond_scale": "0",
        "cfg_rescale": "0",
        "n_samples": "1",
        "request_type": "PromptGenerateRequest",
    }


def test_the_whole_of_an_infotext() -> None:
    assert info(FILES["a1111 png"][1]) == ImageInfo(
        program="AUTOMATIC1111",
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=1234567890,
        steps=25,
        guidance=6.5,
        sampler="DPM++ 2M",
        schedule="Karras",
        size=(832, 1216),
        model=NamedFile("sd_xl_base_1.0", ("31e35c80fc",)),
        loras=(NamedLora("ink", (INK,), 0.8),),
        clip_skip=2,
        hires=1.5,
        hires_steps=12,
        hires_strength=0.4,
        rest={"Hires upscaler": "Latent", "Version": "v1.10.1"},
    )


def test_two_weights_of_a_lora_are_in_the_order_of_the_web_ui() -> None:
    written = samples.A1111.replace("<lora:ink:0.8>", "<lora:ink:0.4:1>")
    assert info(writers.png({"parameters": written})).loras == (NamedLora("ink", (INK,), 1.0, 0.4),)


def test_the_whole_of_a_graph() -> None:
    found = info(FILES["comfyui png"][1])
    assert found.loras == (NamedLora("ink", (), 0.8, 0.5),)
    assert (found.clip_skip, found.strength) == (2, None)
    assert (found.hires, found.hires_steps, found.hires_strength) == (1.5, 12, 0.4)
    assert found.rest == {}


def test_a_graph_of_parts_with_values_from_other_nodes() -> None:
    found = info(writers.png({"prompt": json.dumps(samples.FLUX_PROMPT)}))
    assert found.prompt == PROMPT
    assert (found.seed, found.steps, found.guidance) == (77, 20, 3.5)
    assert (found.sampler, found.schedule, found.size) == ("euler", "simple", (1024, 768))
    assert found.model == NamedFile("flux1-dev")


def test_a_graph_with_a_control_net_keeps_the_two_prompts_apart() -> None:
    graph = json.loads(json.dumps(samples.COMFYUI_PROMPT))
    graph["20"] = {
        "class_type": "ControlNetApplyAdvanced",
        "inputs": {"positive": ["6", 0], "negative": ["7", 0], "strength": 0.5},
    }
    graph["3"]["inputs"] |= {"positive": ["20", 0], "negative": ["20", 1]}
    found = info(writers.png({"prompt": json.dumps(graph)}))
    assert (found.prompt, found.negative) == (PROMPT, NEGATIVE)
    assert found.rest == {"Nodes": "ControlNetApplyAdvanced"}


def test_a_graph_that_paints_over_an_image() -> None:
    graph = json.loads(json.dumps(samples.COMFYUI_PROMPT))
    graph["5"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["21", 0], "vae": ["4", 2]}}
    graph["21"] = {"class_type": "LoadImage", "inputs": {"image": "fox.png"}}
    graph["3"]["inputs"]["denoise"] = 0.6
    found = info(writers.png({"prompt": json.dumps(graph)}))
    assert (found.strength, found.size) == (0.6, None)


def test_rgthrees_loader() -> None:
    graph = json.loads(json.dumps(samples.COMFYUI_PROMPT))
    graph["12"] = {
        "class_type": "Power Lora Loader (rgthree)",
        "inputs": {
            "PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"},
            "lora_1": {"on": True, "lora": "ink.safetensors", "strength": 0.8},
            "lora_2": {"on": False, "lora": "off.safetensors", "strength": 1},
            "model": ["4", 0],
            "clip": ["4", 1],
        },
    }
    assert info(writers.png({"prompt": json.dumps(graph)})).loras == (NamedLora("ink", (), 0.8),)


def test_hashes_as_each_program_writes_them() -> None:
    for name, expected in (("invokeai", SHA256), ("swarmui png", SHA256)):
        model = info(FILES[name][1]).model
        assert model is not None
        assert model.hashes == (expected,)
    assert info(FILES["swarmui jpeg"][1]).loras[0].hashes == (INK,)
    assert info(FILES["fooocus png"][1]).loras[0].hashes == (INK,)
    assert info(FILES["invokeai"][1]).loras[0].hashes == (), "no file is looked up by a blake3"


def test_invokeai_before_version_3() -> None:
    found = info(writers.png({"sd-metadata": json.dumps(samples.INVOKEAI_2)}))
    assert core(found) == {**SAME, "prompt": "a red fox"}
    assert found.model == NamedFile("sdxl-base", (SHA256,))


def with_params(**params: Any) -> bytes:
    params = samples.SWARMUI["sui_image_params"] | params
    return writers.png({"parameters": json.dumps(samples.SWARMUI | {"sui_image_params": params})})


def test_variations_of_swarmui_and_invokeai() -> None:
    found = info(with_params(variationseed=12, variationseedstrength=0.25))
    assert (found.seed, found.variation) == (1234567890, "12:0.25")
    assert "variationseed" not in found.rest
    none = info(with_params(variationseed=12, variationseedstrength=0))
    assert (none.variation, none.rest["variationseed"]) == ("", "12")
    image = samples.INVOKEAI_2["image"]
    for listed, variation in (
        ([], ""),
        ([{"seed": 12, "weight": 0.25}, {"seed": 99, "weight": 0.1}], "12:0.25, 99:0.1"),
        ([{"seed": 12}], ""),
        ("12:0.25", ""),
    ):
        data = samples.INVOKEAI_2 | {"image": image | {"variations": listed}}
        read = info(writers.png({"sd-metadata": json.dumps(data)}))
        assert (read.seed, read.variation) == (1234567890, variation)
        assert ("variations" in read.rest) == (bool(listed) and not variation)


@pytest.mark.parametrize("text", ["日本の狐、雪", "狐" * 50])
def test_a_comment_in_another_script(text: str) -> None:
    written = f"{text}\n" + samples.A1111.splitlines()[-1]
    assert info(writers.with_comment(written, "JPEG")).prompt == text
    assert info(writers.with_imagesharp_comment(written, "WEBP")).prompt == text


def test_an_image_that_says_nothing() -> None:
    for data in (
        writers.png({}),
        writers.png({"parameters": "a holiday", "Comment": "Lake Garda", "prompt": "{}"}),
        writers.with_comment("a holiday: sea, sand", "JPEG"),
        writers.stealth("", compressed=False),
        writers.png({}, image=Image.new("L", (8, 8))),
    ):
        assert read_info(data) is None


def test_what_is_refused_by_name() -> None:
    long = json.dumps({"1": "x" * TEXT_MAX})
    for data, code in (
        (b"GIF89a", "picture.format"),
        (b"", "picture.format"),
        (bytes(20 * 1024 * 1024 + 1), "picture.bytes"),
        (writers.png({"prompt": long}, compressed=True), "info.text"),
        (writers.png({"prompt": long}), "info.text"),
    ):
        with pytest.raises(InvalidRequest) as error:
            read_info(data)
        assert error.value.code == code
    assert read_info(writers.png({"unknown": long}, compressed=True)) is None


def test_whether_opposite_edges_meet() -> None:
    made = replace(RECIPE, request=replace(RECIPE.request, tile=True))
    plain = Image.new("RGB", (8, 8), "red")
    text = infotext(made, 43)
    assert parse_infotext(text).settings["Tiling"] == "True"
    assert "Tiling" not in infotext(RECIPE, 43)
    sides = ("seamless_x", "seamless_y")
    invoked = {**samples.INVOKEAI, **dict.fromkeys(sides, True)}
    for png in (
        encode_png(plain, made, 43),
        writers.png({"parameters": text}),
        writers.png({"invokeai_metadata": json.dumps(invoked)}),
    ):
        found = info(png)
        assert found.tile is True
        assert not {"Tiling", *sides} & {*found.rest}
        assert "tile: yes" in as_text(found)
    for png in (encode_png(plain, RECIPE, 43), FILES["invokeai"][1]):
        assert info(png).tile is None
    # Of one axis alone, as of a value that is none, it is told as it is written.
    one = {**samples.INVOKEAI, "seamless_x": True, "seamless_y": False}
    found = info(writers.png({"invokeai_metadata": json.dumps(one)}))
    assert (found.tile, found.rest["seamless_x"]) == (None, "true")
    odd = info(writers.png({"parameters": text.replace("Tiling: True", "Tiling: x only")}))
    assert (odd.tile, odd.rest["Tiling"]) == (None, "x only")
