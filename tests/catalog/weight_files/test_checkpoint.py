"""What a file in the place of a checkpoint is, by its header."""

from pathlib import Path

import pytest

from catalog.families.recognition import Shapes
from catalog.families.sd15.recognition import SD15_MODEL as SD15_NAME
from catalog.families.sdxl.recognition import SDXL_MODEL as SDXL_NAME
from catalog.families.vaes import KL_4, KL_16
from catalog.weight_files import Header, checkpoint_facts, with_article

FILE = Path("x.safetensors")
UNET = "model.diffusion_model."
CONTEXT = f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight"
ENCODERS: Shapes = {
    "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias": (768,),
    "conditioner.embedders.1.model.ln_final.bias": (1280,),
}
VAE: Shapes = {"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3)}


def unet(channels: int = 4, context: int = 2048, sizes: int = 2816, **depths: int) -> Shapes:
    """The tensors that tell an SDXL UNet; sizes: 0 for none. depths: blocks by input block."""
    shapes = {f"{UNET}input_blocks.0.0.weight": (320, channels, 3, 3), CONTEXT: (1280, context)}
    if sizes:
        shapes[f"{UNET}label_emb.0.0.weight"] = (1280, sizes)
    for block, depth in depths.items():
        for number in range(depth):
            module = f"{UNET}input_blocks.{block.removeprefix('in')}.1.transformer_blocks.{number}"
            shapes[f"{module}.norm1.weight"] = (1280,)
    return shapes


SDXL: Shapes = {**unet(in5=2, in8=10), **ENCODERS, **VAE}


def bare(shapes: Shapes, prefix: str = "") -> Shapes:
    return {prefix + name.removeprefix(UNET): shape for name, shape in shapes.items()}


def header(shapes: Shapes, **metadata: str) -> Header:
    return Header(shapes, dict.fromkeys(shapes, "F16"), {}, {}, 0, metadata)


def refused(shapes: Shapes, *, config: bool = False) -> str:
    """What is said of a file with these tensors; "" if it can be used."""
    facts = checkpoint_facts(FILE, header(shapes))
    refusal = facts.unfit(of=(SDXL_NAME, SD15_NAME), config=config)
    return refusal.what if refusal else ""


def lora(module: str, width: int) -> Shapes:
    return {f"{module}.lora_down.weight": (16, width), f"{module}.lora_up.weight": (64, 16)}


def test_an_sdxl_checkpoint_can_be_used() -> None:
    facts = checkpoint_facts(FILE, header(SDXL, ss_output_name="Mine"))
    assert facts.unfit(of=(SDXL_NAME,), config=False) is None
    assert (facts.what, facts.title, facts.vae) == ("SDXL checkpoint", "Mine", KL_4)


@pytest.mark.parametrize(
    "names",
    [
        ("unet.", "text_encoder.", "text_encoder_2.", "vae."),
        ("model.diffusion_model.", "text_encoders.clip_l.", "text_encoders.clip_g.", "vae."),
    ],
    ids=["diffusers", "ComfyUI"],
)
def test_other_programs_names_are_known(names: tuple[str, str, str, str]) -> None:
    denoiser, first, second, vae = names
    assert not refused(
        {
            **bare(unet(), denoiser),
            f"{first}text_model.final_layer_norm.bias": (768,),
            f"{second}text_model.final_layer_norm.bias": (1280,),
            f"{vae}decoder.conv_in.weight": (512, 4, 3, 3),
        }
    )


def test_a_tiny_model_of_sdxls_architecture_is_one() -> None:
    assert not refused({**unet(context=112, sizes=160), **ENCODERS, **VAE})


def test_stray_tensors_of_an_adapter_change_nothing() -> None:
    assert not refused({**SDXL, **lora("lora_te1_text_model_encoder_layers_0_mlp_fc1", 768)})


def test_nor_does_a_controlnet_that_has_its_model_beside_it() -> None:
    """As in the files of its author."""
    control: Shapes = {"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}
    assert refused(control) == "ControlNet"
    assert not refused({**SDXL, **control})


SD1_UNET = unet(context=768, sizes=0)
SD1_ENCODER: Shapes = {"cond_stage_model.transformer.text_model.final_layer_norm.bias": (768,)}
STRAYS: Shapes = {
    "cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77),
    "conditioner.embedders.1.model.logit_scale": (),
    "model_ema.diffusion_modelinput_blocks00weight": (320, 4, 3, 3),
    "first_stage_model.loss.logvar": (),
}


@pytest.mark.parametrize("denoiser", [unet(), SD1_UNET], ids=["SDXL", "SD 1.5"])
@pytest.mark.parametrize("vae", [{}, VAE], ids=["without a VAE", "with a VAE"])
@pytest.mark.parametrize("prefix", [UNET, "diffusion_model.", "unet.", ""])
@pytest.mark.parametrize("strays", [{}, STRAYS], ids=["bare", "with strays"])
def test_text_encoders_and_a_vae_may_be_missing(
    denoiser: Shapes, vae: Shapes, prefix: str, strays: Shapes
) -> None:
    shapes = {**bare(denoiser, prefix), **vae, **strays}
    assert not refused(shapes)
    assert checkpoint_facts(FILE, header(shapes)).model in {SDXL_NAME, SD15_NAME}
    own = SD1_ENCODER if denoiser is SD1_UNET else ENCODERS
    assert not refused({**shapes, **own})


HALF = {name: shape for name, shape in ENCODERS.items() if "embedders.0" in name}


@pytest.mark.parametrize(
    "shapes",
    [
        {**unet(), **HALF},
        {**unet(), **SD1_ENCODER},
        {**unet(), "te1.text_model.final_layer_norm.bias": (768,)},
        {**SD1_UNET, **ENCODERS},
        {**SD1_UNET, "cond_stage_model.model.ln_final.bias": (1024,)},
    ],
)
def test_text_encoders_that_are_not_all_known_are_not_replaced_by_others(shapes: Shapes) -> None:
    assert refused(shapes).endswith("checkpoint with incomplete or unknown text encoders")


def test_running_averages_alone_are_no_checkpoint() -> None:
    averages = {
        f"model_ema.{n.removeprefix('model.').replace('.', '')}": s for n, s in unet().items()
    }
    for others in ({}, ENCODERS, VAE):
        said = refused({**averages, **others})
        assert said == "checkpoint with nothing but running averages (model_ema) of its denoiser"


@pytest.mark.parametrize(
    ("depths", "name"),
    [
        ({"in5": 2, "in8": 4}, "SSD-1B"),
        ({"in5": 1, "in8": 2}, "Segmind-Vega"),
        ({"in5": 5}, "KOALA"),
    ],
)
def test_a_smaller_sdxl_needs_its_own_configuration(depths: dict[str, int], name: str) -> None:
    shapes = {**unet(**depths), **ENCODERS, **VAE}
    assert refused(shapes) == f"{name} checkpoint with fewer layers than SDXL"
    assert not refused(shapes, config=True)


def whole(**options: int) -> Shapes:
    return {**unet(**options), **ENCODERS, **VAE}


SD1 = {**unet(context=768, sizes=0), "cond_stage_model.transformer.x": (1,), **VAE}

OTHERS: dict[str, tuple[Shapes, str]] = {
    "refiner": (whole(context=1280, sizes=2560), "SDXL refiner checkpoint"),
    "inpainting": (whole(channels=9), "SDXL inpainting checkpoint"),
    "pix2pix": (whole(channels=8), "SDXL instruct-pix2pix checkpoint"),
    "lcm": (
        {**whole(), f"{UNET}time_embed.cond_proj.weight": (320, 256)},
        "SDXL guidance-distilled checkpoint",
    ),
    "sd1": (SD1, "SD 1.5 checkpoint"),
    "sd1-inpainting": (
        {**SD1, **unet(channels=9, context=768, sizes=0)},
        "SD 1.5 inpainting checkpoint",
    ),
    "sd2": (whole(context=1024, sizes=0), "SD 2 checkpoint"),
    "unclip": (whole(context=1024, sizes=2048), "SD 2 checkpoint"),
    "kolors": (
        {**bare(unet()), "encoder_hid_proj.weight": (2048, 4096)},
        "Kolors UNet",
    ),
    "video": (
        {**whole(context=1024, sizes=768), f"{UNET}input_blocks.1.1.time_stack.0.x": (1,)},
        "video checkpoint",
    ),
    "video-vae": ({"decoder.conv_in.weight": (512, 16, 3, 3, 3)}, "VAE of a video model"),
    "lora": (
        lora("lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k", 2048),
        "LoRA for SDXL",
    ),
    "lora-sd1": (
        lora("lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k", 768),
        "LoRA for SD 1.5",
    ),
    "lora-with-embedding": (
        {
            **lora("lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k", 2048),
            **lora("lora_unet_middle_block_1_transformer_blocks_0_attn2_to_v", 2048),
            "clip_l": (2, 768),
            "clip_g": (2, 1280),
        },
        "LoRA for SDXL",
    ),
    "lokr": ({"lora_unet_a.lokr_w1": (4, 4), "lora_unet_a.lokr_w2": (4, 4)}, "LoKr"),
    "embedding": ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "textual inversion"),
    "token": ({"<my-cat>": (4, 768)}, "textual inversion"),
    "ip-adapter": (
        {"image_proj.proj.weight": (8, 8), "ip_adapter.1.to_k_ip.weight": (8, 8)},
        "IP-Adapter",
    ),
    "vae": ({"decoder.conv_in.weight": (512, 4, 3, 3)}, "VAE of SDXL or SD 1.5"),
    "flux-vae": ({"decoder.conv_in.weight": (512, 16, 3, 3)}, "VAE of Z-Image, FLUX.1 or SD 3"),
    "dc-vae": ({"decoder.conv_in.weight": (1024, 32, 3, 3)}, "VAE of another model"),
    "transparent-vae": (
        {"decoder.conv_in.weight": (512, 4, 3, 3), "encoder.conv_in.weight": (128, 4, 3, 3)},
        "VAE of another model",
    ),
    "taesd": ({"decoder.layers.0.weight": (1,)}, "preview decoder (TAESD)"),
    "clip": ({"text_model.embeddings.token_embedding.weight": (49408, 768)}, "text encoder (CLIP)"),
    "t5": (
        {"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096), "shared.weight": (1, 1)},
        "text encoder (T5)",
    ),
    "qwen": ({"model.embed_tokens.weight": (1, 1)}, "text encoder (language model)"),
    "upscaler": (
        {"conv_first.weight": (64, 3, 3, 3), "conv_last.weight": (3, 64, 3, 3)},
        "upscaler",
    ),
    "old-upscaler": (
        {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)},
        "upscaler",
    ),
    "controlnet": (
        {
            "conv_in.weight": (320, 4, 3, 3),
            "time_embedding.linear_1.weight": (1280, 320),
            "add_embedding.linear_1.weight": (1280, 2816),
            "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
        },
        "ControlNet",
    ),
    "ldm-controlnet": ({"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}, "ControlNet"),
    "flux": (
        {
            "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
            "img_in.weight": (3072, 64),
            "txt_in.weight": (3072, 4096),
            "vector_in.in_layer.weight": (3072, 768),
            "final_layer.linear.weight": (64, 3072),
        },
        "FLUX.1 transformer",
    ),
    "without CLIP": (
        {"double_blocks.0.img_attn.qkv.weight": (9216, 3072), "img_in.weight": (3072, 64)},
        "FLUX.1-like transformer",
    ),
    "of another text encoder": (
        {
            "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
            "img_in.weight": (3072, 64),
            "txt_in.weight": (3072, 3584),
            "vector_in.in_layer.weight": (3072, 768),
            "final_layer.linear.weight": (64, 3072),
        },
        "FLUX.1-like transformer",
    ),
    "fill": (
        {"double_blocks.0.img_attn.qkv.weight": (9216, 3072), "img_in.weight": (3072, 384)},
        "FLUX.1 (Fill) transformer",
    ),
    "flux-whole": (
        {
            f"{UNET}double_blocks.0.img_attn.qkv.weight": (9216, 3072),
            f"{UNET}img_in.weight": (3072, 64),
            f"{UNET}txt_in.weight": (3072, 4096),
            f"{UNET}vector_in.in_layer.weight": (3072, 768),
            f"{UNET}final_layer.linear.weight": (64, 3072),
            "text_encoders.clip_l.transformer.x": (1,),
            "vae.decoder.conv_in.weight": (512, 16, 3, 3),
        },
        "FLUX.1 checkpoint",
    ),
    "flux2": (
        {
            "double_stream_modulation_img.lin.weight": (1, 1),
            "double_blocks.0.img_attn.qkv.weight": (1, 1),
            "img_in.weight": (1, 1),
        },
        "FLUX.2 transformer",
    ),
    "chroma": (
        {
            "distilled_guidance_layer.norms.0.scale": (5120,),
            "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
            "img_in.weight": (3072, 64),
        },
        "Chroma-like transformer",
    ),
    "chroma, of another text encoder": (
        {
            "distilled_guidance_layer.in_proj.weight": (5120, 64),
            "img_in.weight": (3072, 64),
            "txt_in.weight": (3072, 2560),
        },
        "Chroma-like transformer",
    ),
    "chroma radiance": (
        {
            "distilled_guidance_layer.in_proj.weight": (5120, 64),
            "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
            "img_in_patch.weight": (3072, 3, 16, 16),
            "nerf_blocks.0.norm.scale": (64,),
            "txt_in.weight": (3072, 4096),
        },
        "Chroma1-Radiance transformer",
    ),
    "sd3": (
        {
            f"{UNET}joint_blocks.0.context_block.attn.qkv.weight": (1, 1),
            "first_stage_model.decoder.conv_in.weight": (512, 16, 3, 3),
        },
        "SD 3 checkpoint",
    ),
    "auraflow": ({"model.double_layers.0.attn.w1q.weight": (1, 1)}, "AuraFlow transformer"),
    "cascade": (
        {"clf.1.weight": (1,), "clip_txt_mapper.weight": (2048, 1)},
        "Stable Cascade transformer",
    ),
    "pixart": ({"t_block.1.weight": (1, 1)}, "PixArt transformer"),
    "hunyuan": ({"mlp_t5.0.weight": (1, 1)}, "Hunyuan-DiT transformer"),
    "lumina": (
        {"cap_embedder.1.weight": (2304, 1), "noise_refiner.0.attention.k_norm.weight": (1,)},
        "Lumina 2 transformer",
    ),
    "z-image": (
        {"cap_embedder.1.weight": (3840, 1), "noise_refiner.0.attention.k_norm.weight": (1,)},
        "Z-Image transformer",
    ),
    "qwen-image": (
        {"txt_norm.weight": (3584,), "img_in.weight": (1, 64)},
        "Qwen-Image transformer",
    ),
    "wan": ({f"{UNET}head.modulation": (1, 2, 5120)}, "Wan transformer"),
    "hidream": ({"caption_projection.0.linear.weight": (1, 1)}, "HiDream transformer"),
    "unknown": ({"t": (1,)}, "file of a kind that is not known here"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_is_named(name: str) -> None:
    shapes, what = OTHERS[name]
    facts = checkpoint_facts(FILE, header(shapes))
    refusal = facts.unfit(of=(SDXL_NAME,), config=True)
    assert refusal is not None
    assert refusal.what == what
    assert refusal.advice


def test_the_words_before_it_are_right() -> None:
    words = ("SDXL refiner", "LoRA", "SD 1.5 checkpoint", "upscaler", "IP-Adapter", "HiDream")
    assert [with_article(word).split()[0] for word in words] == ["an", "a", "an", "an", "an", "a"]


def test_a_vae_is_known_alone_and_inside() -> None:
    inside = {**OTHERS["flux-whole"][0], **lora("lora_unet_x", 8)}
    for shapes, held in (
        (OTHERS["vae"][0], KL_4),
        (OTHERS["sd1"][0], KL_4),
        (OTHERS["flux-vae"][0], KL_16),
        (inside, KL_16),
        (OTHERS["flux2"][0], ""),
        (OTHERS["lora"][0], ""),
    ):
        assert checkpoint_facts(FILE, header(shapes)).vae == held
