"""Models whose files are something else are never offered."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog import LiveCatalog
from tests.catalog.home import ONE_MODEL, SDXL, Home, checkpoint_bytes

FLUX = {"double_blocks.0.img_attn.qkv.weight": [1, 1], "img_in.weight": [1, 64]}
VAE = {"decoder.conv_in.weight": [1, 4, 3, 3]}
LORA = {"lora_unet_a.lora_down.weight": [1, 1], "lora_unet_a.lora_up.weight": [1, 1]}


def beside_sdxl(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """A complete .safetensors file of SDXL with more tensors: their dtype, shape and bytes."""
    whole = checkpoint_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    for name, (dtype, shape, raw) in tensors.items():
        ends = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": ends}
        data += raw
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def put(home: Home, path: str, shapes: dict[str, list[int]]) -> Path:
    return home.put(home.models_dir / path, checkpoint_bytes(shapes))


def folder(home: Home, path: str, unet: dict[str, Any], pipeline: object = None) -> Path:
    """A folder in diffusers' layout, as far as it is judged."""
    place = home.models_dir / path
    name = pipeline or "StableDiffusionXLPipeline"
    home.put(place / "model_index.json", json.dumps({"_class_name": name}).encode())
    if unet:
        home.put(place / "unet" / "config.json", json.dumps(unet).encode())
    return place


SDXL_UNET = {
    "_class_name": "UNet2DConditionModel",
    "in_channels": 4,
    "addition_embed_type": "text_time",
    "cross_attention_dim": 2048,
    "projection_class_embeddings_input_dim": 2816,
}


def test_another_file_among_the_checkpoints_is_listed_but_never_offered(home: Home) -> None:
    put(home, "checkpoints/aaa.safetensors", FLUX)
    home.weights("checkpoints/good.safetensors")
    home.write("")
    read = home.read()
    assert list(read.models) == ["aaa", "good"]
    assert str(read.unfit_models["aaa"]) == (
        "aaa.safetensors is a FLUX.1-like transformer;"
        " only checkpoints of SDXL, SD 1.5, FLUX.2 klein 4B, Z-Image, Anima, FLUX.1, Chroma and"
        " Krea 2 can be used"
    )
    assert read.default == "good"
    for offered in (
        read.offered_models(nsfw=True),
        read.search_models("", nsfw=True),
        read.search_models("aaa", nsfw=True) or read.offered_models(nsfw=True),
    ):
        assert [model.key for model in offered] == ["good"]
    assert "aaa" not in read.nearest_models("aaa", nsfw=True)
    assert [model.key for model in read.refused_models(nsfw=False)] == ["aaa"]


def test_it_is_not_the_default_even_if_it_is_named(home: Home) -> None:
    put(home, "checkpoints/flux.safetensors", FLUX)
    home.write('default = "flux"\n' + ONE_MODEL.partition("\n")[2])
    read = home.read()
    assert read.default == "base"
    assert "default names 'flux', but flux.safetensors is a FLUX.1" in str(read.problems[0])


def test_with_nothing_else_there_is_no_model(home: Home) -> None:
    put(home, "checkpoints/flux.safetensors", FLUX)
    home.write("")
    read = home.read()
    assert (read.default, read.offered_models(nsfw=True)) == ("", ())


@pytest.mark.parametrize(
    "entry",
    [
        'path = "far/lora.safetensors"',
        'path = "far"\nweight_name = "lora.safetensors"',
        'path = "far"',
        'path = "org/name"\nweight_name = "lora.safetensors"',
    ],
)
def test_the_file_of_an_entry_is_judged_wherever_it_is(home: Home, entry: str) -> None:
    put(home, "far/lora.safetensors", LORA)
    put(home, "hub/models--org--name/snapshots/abc/lora.safetensors", LORA)
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\n{entry}\n')
    assert home.read().unfit_models["far"].what.startswith("LoRA")


def test_what_an_entry_adds_is_judged_as_well(home: Home) -> None:
    shapes = {n: [*shape] for n, shape in SDXL.items() if not n.startswith("first_stage_model")}
    put(home, "checkpoints/bare.safetensors", shapes)
    put(home, "vae.safetensors", VAE)
    put(home, "lora.safetensors", LORA)
    assert home.read().unfit_models == {}
    entry = '[models.bare]\nname = "Bare"\npath = "checkpoints/bare.safetensors"\n'
    home.write(f'{ONE_MODEL}{entry}vae_path = "vae.safetensors"\n')
    assert home.read().unfit_models == {}
    home.write(f'{ONE_MODEL}{entry}vae_path = "lora.safetensors"\n')
    unfit = home.read().unfit_models["bare"]
    assert str(unfit) == (
        "lora.safetensors is a LoRA; vae_path of bare must be a VAE for Stable Diffusion XL,"
        " or left out if the model has its own"
    )


@pytest.mark.parametrize(
    ("pipeline", "unet", "what"),
    [
        (None, SDXL_UNET, ""),
        ("StableDiffusionXLInpaintPipeline", SDXL_UNET, ""),
        (None, {**SDXL_UNET, "in_channels": 9}, "SDXL inpainting model"),
        (None, {**SDXL_UNET, "in_channels": 8}, "SDXL instruct-pix2pix model"),
        (None, {**SDXL_UNET, "projection_class_embeddings_input_dim": 2560}, "SDXL refiner model"),
        ("StableDiffusionPipeline", {"cross_attention_dim": 768}, ""),
        (None, {"cross_attention_dim": 768}, "SD 1.5 model"),
        ("StableDiffusionPipeline", {"cross_attention_dim": 1024}, "SD 2 model"),
        ("StableDiffusionInpaintPipeline", {}, "StableDiffusionInpaint model"),
        ("StableDiffusion3Pipeline", {}, "SD 3 model"),
        ("FluxPipeline", {}, ""),
        ("FluxKontextPipeline", {}, ""),
        ("FluxFillPipeline", {}, "FLUX.1 (Fill) model"),
        ("FluxControlPipeline", {}, "FLUX.1 (Control) model"),
        ("FluxPriorReduxPipeline", {}, "FLUX.1 Redux model"),
        ("Flux2Pipeline", {}, "FLUX.2 dev model"),
        ("**`@everyone", {}, "everyone model"),
        (None, {**SDXL_UNET, "in_channels": "[a](https://b.c)"}, "SDXL (0 channels) model"),
        (None, {**SDXL_UNET, "encoder_hid_dim_type": "text_proj"}, "Kolors model"),
        (["my_pipeline", "Mine"], SDXL_UNET, "model with code of its own"),
        (None, {**SDXL_UNET, "time_cond_proj_dim": 256}, "SDXL guidance-distilled model"),
    ],
)
@pytest.mark.parametrize("place", ["far", "hub/models--org--name/snapshots/abc"])
def test_a_folder_in_diffusers_layout_is_judged(
    home: Home, place: str, pipeline: object, unet: dict[str, Any], what: str
) -> None:
    folder(home, place, unet, pipeline)
    path = "org/name" if place.startswith("hub") else place
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "{path}"\n')
    unfit = home.read().unfit_models.get("far")
    assert (unfit.what if unfit else "") == what
    if unfit:
        assert unfit.file == path


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"unet": ["diffusers", "UNet2DConditionModel"]}, ""),
        ({"text_encoder": ["transformers", "CLIPTextModel"]}, ""),
        ({"text_encoder": [None, None]}, "SDXL model without text_encoder"),
        ({"unet": ["mine", "MyUNet"]}, "model whose unet is of the class MyUNet"),
        ({"text_encoder": ["t", "ChatGLM"]}, "model whose text_encoder is of the class ChatGLM"),
        ({"unet": ["x", "[a](https://b.c) `*"]}, "model whose unet is of the class ahttpsbc"),
        ({"unet": 3}, "model whose unet is unknown"),
    ],
)
def test_the_parts_of_a_pipeline_are_judged(
    home: Home, parts: dict[str, object], what: str
) -> None:
    place = folder(home, "far", SDXL_UNET)
    index = {"_class_name": "StableDiffusionXLPipeline", **parts}
    home.put(place / "model_index.json", json.dumps(index).encode())
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n')
    unfit = home.read().unfit_models.get("far")
    assert (unfit.what if unfit else "") == what


def test_of_a_pipeline_for_several_models_only_the_unet_tells_which(home: Home) -> None:
    place = folder(home, "far", SDXL_UNET)
    index = {"_class_name": "DiffusionPipeline", "text_encoder": [None, None]}
    home.put(place / "model_index.json", json.dumps(index).encode())
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n')
    assert home.read().unfit_models["far"].what == "model without text_encoder"


@pytest.mark.parametrize("raw", [b"{", b"[]", b"[" * 100_000, b" " * 1_000_001])
def test_a_configuration_that_cannot_be_read_is_said(home: Home, raw: bytes) -> None:
    place = folder(home, "far", SDXL_UNET)
    home.put(place / "unet" / "config.json", raw)
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n')
    assert "config.json is" in str(home.read().unfit_models["far"])


def test_replaced_files_are_judged_again(home: Home) -> None:
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far.safetensors"\n')
    put(home, "far.safetensors", FLUX)
    place = folder(home, "near", {**SDXL_UNET, "in_channels": 9})
    home.write(
        f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far.safetensors"\n'
        '[models.near]\nname = "Near"\npath = "near"\n'
    )
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.unfit_models.keys() == {"far", "near"}
    home.put(home.models_dir / "far.safetensors", checkpoint_bytes())
    assert live.refresh()
    assert live.current.unfit_models.keys() == {"near"}
    home.put(place / "unet" / "config.json", json.dumps(SDXL_UNET).encode())
    assert live.refresh()
    assert live.current.unfit_models == {}
    assert not live.refresh()


def test_quantised_weights_make_a_model_unfit(home: Home) -> None:
    quantised = {"model.diffusion_model.out.2.weight.absmax": [1]}
    home.put(
        home.models_dir / "checkpoints/odd.safetensors", checkpoint_bytes({**SDXL, **quantised})
    )
    folder(home, "far", {**SDXL_UNET, "quantization_config": {"quant_method": "nf4"}})
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n')
    unfit = home.read().unfit_models
    assert "its weights cannot be read" in str(unfit["odd"])
    assert str(unfit["far"]) == (
        "far is an SDXL model (its weights cannot be read: they are quantised with nf4"
        " (quantization_config)); use a version of it in fp16, bf16, fp8, or one of the GGUF types"
        " that are read"
    )


@pytest.mark.parametrize(
    ("said", "weight", "scale", "name"),
    [
        (
            {"format": "int8_tensorwise", "convrot": True},
            "I8",
            "F32",
            "int8_tensorwise with convrot",
        ),
        ({"format": "int8_tensorwise"}, "I8", "F32", "int8_tensorwise"),
        ({"format": "mxfp8"}, "F8_E4M3", "U8", "mxfp8"),
        ({"format": "mxfp8"}, "F8_E4M3", "F8_E8M0", "mxfp8"),
        ({"format": "nvfp4"}, "U8", "F8_E4M3", "nvfp4"),
        (
            {"format": "float8_e4m3fn", "convrot": True},
            "F8_E4M3",
            "F32",
            "float8_e4m3fn with convrot",
        ),
        ({"format": "float8_e4m3fn"}, "F8_E4M3", "F32", None),
    ],
)
def test_what_comfyui_says_beside_each_layer_is_the_name_of_the_format(
    home: Home, said: dict[str, object], weight: str, scale: str, name: str | None
) -> None:
    """Without `_quantization_metadata`, the types of tensors alone name neither."""
    layer = "model.diffusion_model.out.2"
    mark = json.dumps(said).encode()
    odd = {
        f"{layer}.weight": (weight, [4, 8], bytes(32)),
        f"{layer}.weight_scale": (scale, [], bytes(4 if scale == "F32" else 1)),
        f"{layer}.comfy_quant": ("U8", [len(mark)], mark),
    }
    home.put(home.models_dir / "checkpoints/odd.safetensors", beside_sdxl(odd))
    home.write(ONE_MODEL)
    unfit = home.read().unfit_models
    if name is None:
        assert "odd" not in unfit
        return
    assert f"is in the format {name}; known are" in str(unfit["odd"])
    assert str(unfit["odd"]).endswith(
        "use a version of it in fp16, bf16, fp8, or one of the GGUF types that are read"
    )


def test_a_model_that_may_have_been_trained_in_any_way_is_unfit_until_its_entry_says(
    home: Home,
) -> None:
    weights = checkpoint_bytes(metadata={"modelspec.prediction_type": "guess"})
    home.put(home.models_dir / "checkpoints/odd.safetensors", weights)
    place = folder(home, "far", SDXL_UNET)
    home.put(place / "scheduler/scheduler_config.json", b'{"prediction_type": "guess"}')
    far = f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n'
    home.write(far)
    unfit = home.read().unfit_models
    assert unfit.keys() == {"odd", "far"}
    for why in unfit.values():
        assert "it does not say clearly how it was trained" in why.verdict
        assert str(why).endswith("; set prediction in its entry in models.toml")
    odd = '[models.odd]\nname = "Odd"\npath = "checkpoints/odd.safetensors"\n'
    home.write(f'{far}prediction = "epsilon"\n{odd}prediction = "epsilon"\n')
    assert home.read().unfit_models == {}


def test_a_yaml_that_comes_later_is_read(home: Home) -> None:
    file = home.weights("checkpoints/odd.safetensors")
    home.write(ONE_MODEL)
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.unfit_models == {}
    home.put(file.with_suffix(".yaml"), b"model: {params: {parameterization: guess}}")
    assert live.refresh()
    assert live.current.unfit_models.keys() == {"odd"}


def test_a_flow_without_an_entry_has_the_samplers_of_one(home: Home) -> None:
    weights = checkpoint_bytes(metadata={"modelspec.prediction_type": "flow"})
    home.put(home.models_dir / "checkpoints/flow.safetensors", weights)
    home.write(ONE_MODEL)
    model = home.read().models["flow"]
    assert (model.prediction, model.scheduler) == ("flow", "Euler")


FLOW_FOLDER = 'default = "flow"\n[models.flow]\nname = "Flow"\npath = "flow"\n'


def flow(home: Home) -> Path:
    place = folder(home, "flow", SDXL_UNET)
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    home.put(place / "scheduler" / "scheduler_config.json", json.dumps(scheduler).encode())
    return place


def test_an_entry_takes_from_its_files_which_samplers_fit(home: Home) -> None:
    flow(home)
    metadata = {"modelspec.prediction_type": "flow"}
    home.put(home.models_dir / "far/flow.safetensors", checkpoint_bytes(metadata=metadata))
    home.write(
        FLOW_FOLDER
        + '[models.file]\nname = "File"\npath = "far/flow.safetensors"\nenabled = false\n'
        + '[models.fit]\nname = "Fit"\npath = "flow"\nscheduler = "Heun"\n'
        + '[models.own]\nname = "Own"\npath = "flow"\nprediction = "epsilon"\n'
    )
    read = home.read()
    assert not read.problems
    models = read.models
    assert [(m.prediction, m.scheduler, m.draft is None) for m in models.values()] == [
        ("flow", "Euler", True),
        ("flow", "Euler", True),
        ("flow", "Heun", True),
        ("epsilon", "DPM++ 2M Karras", False),
    ]
    assert not models["file"].enabled
    assert "DPM++ 2M Karras" not in models["flow"].schedulers


def test_an_entry_whose_sampler_cannot_follow_its_files_is_left_out_by_name(home: Home) -> None:
    flow(home)
    home.write(FLOW_FOLDER + 'scheduler = "Euler a"\n' + ONE_MODEL.partition("\n")[2])
    read = home.read()
    assert list(read.models) == ["base"]
    assert "flow: its files say that its prediction is flow, but" in str(read.problems[0])
    assert "got 'Euler a'" in str(read.problems[0])


def test_a_folder_whose_files_change_has_other_samplers(home: Home) -> None:
    place = flow(home)
    home.write(FLOW_FOLDER)
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.models["flow"].prediction == "flow"
    home.put(place / "scheduler" / "scheduler_config.json", b"{}")
    assert live.refresh()
    assert live.current.models["flow"].prediction is None
