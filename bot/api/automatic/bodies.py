"""What callers send, with AUTOMATIC1111's names and defaults.

A field that is None here was not sent, and what the model's author recommends is used. Fields that
are not known are kept, so that the answer can name them.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.api.original.bodies import Int, Number

NAMES: Final[Mapping[str, str]] = {
    "negative": "negative_prompt",
    "lora": "prompt",
    "guidance": "cfg_scale",
    "size": "width, height",
    "count": "batch_size × n_iter",
    "variation": "subseed, subseed_strength",
    "scheduler": "sampler_name",
    "hires": "hr_scale",
    "hires_strength": "denoising_strength",
    "hires_steps": "hr_second_pass_steps",
    "clip_skip": "CLIP_stop_at_last_layers",
    "tile": "tiling",
    "image": "init_images",
    "strength": "denoising_strength",
    "inpaint_area": "inpaint_full_res",
    "inpaint_padding": "inpaint_full_res_padding",
    "model": "sd_model_checkpoint",
    "scale": "upscaling_resize",
    "upscaler": "upscaler_1",
    "control": "alwayson_scripts.controlnet",
    "detail": "alwayson_scripts.ADetailer",
    "control_image": "alwayson_scripts.controlnet.args[0].image",
    "control_image2": "alwayson_scripts.controlnet.args[1].image",
}
"""This interface's names for fields of a draft."""

STRENGTH: Final = 0.75
"""AUTOMATIC1111's default for `denoising_strength`."""


class _Processing(BaseModel):
    """What both ways to generate have in common. Unknown fields are named in `info.warnings`."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    prompt: str | None = ""
    negative_prompt: str | None = None
    styles: list[str] | None = None
    seed: Int | None = -1
    subseed: Int | None = -1
    subseed_strength: Number | None = 0
    seed_resize_from_h: Int | None = -1
    seed_resize_from_w: Int | None = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: Int | None = 1
    n_iter: Int | None = 1
    steps: Int | None = None
    cfg_scale: Number | None = None
    distilled_cfg_scale: Number | None = None
    width: Int | None = None
    height: Int | None = None
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool | None = False
    do_not_save_grid: bool | None = False
    eta: Number | None = None
    denoising_strength: Number | None = Field(default=None, description="0.75 by default.")
    s_min_uncond: Number | None = None
    s_churn: Number | None = None
    s_tmax: Number | None = None
    s_tmin: Number | None = None
    s_noise: Number | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool | None = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: Number | None = None
    disable_extra_networks: bool | None = False
    comments: dict[str, Any] | None = None
    sampler_index: str | None = Field(default=None, description="An older `sampler_name`.")
    script_name: str | None = None
    script_args: list[Any] | None = None
    send_images: bool | None = True
    save_images: bool | None = False
    alwayson_scripts: dict[str, Any] | None = Field(
        default=None,
        description="`controlnet` and `ADetailer`: in their `args`, the units of these extensions.",
    )
    force_task_id: str | None = None
    infotext: str | None = None
    clip_skip: Int | None = Field(default=None, description="As in SD.Next.")

    @property
    def sampler(self) -> str | None:
        return self.sampler_name or self.sampler_index or None

    @property
    def settings(self) -> dict[str, Any]:
        return self.override_settings or {}


class Txt2Img(_Processing):
    """Text to image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "a red star on a blue background"},
                {
                    "prompt": "a castle in the clouds <lora:anime-style:0.8>",
                    "negative_prompt": "blurry",
                    "sampler_name": "DPM++ 2M",
                    "scheduler": "Karras",
                    "steps": 30,
                    "cfg_scale": 7,
                    "width": 1024,
                    "height": 1024,
                    "seed": 42,
                    "override_settings": {"sd_model_checkpoint": "sdxl-base"},
                },
            ]
        }
    )

    enable_hr: bool | None = False
    firstphase_width: Int | None = 0
    firstphase_height: Int | None = 0
    hr_scale: Number | None = Field(default=2.0, description="1.25, 1.5 or 2.")
    hr_upscaler: str | None = None
    hr_second_pass_steps: Int | None = 0
    hr_resize_x: Int | None = 0
    hr_resize_y: Int | None = 0
    hr_checkpoint_name: str | None = None
    hr_additional_modules: list[Any] | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str | None = ""
    hr_negative_prompt: str | None = ""
    hr_cfg: Number | None = None
    hr_distilled_cfg: Number | None = None


class Img2Img(_Processing):
    """Image to image. `resize_mode` 0 stretches the image, 1 crops it."""

    init_images: list[str] | None = Field(default=None, description="One image in base64.")
    resize_mode: Int | None = 0
    image_cfg_scale: Number | None = None
    mask: str | None = Field(
        default=None,
        description="In base64: what is white in it is painted anew; or what is opaque, if "
        "anything is transparent.",
    )
    latent_mask: str | None = None
    mask_blur: Int | None = None
    mask_blur_x: Int | None = 4
    mask_blur_y: Int | None = 4
    mask_round: bool | None = True
    inpainting_fill: Int | None = 0
    inpaint_full_res: bool | Int | None = True
    inpaint_full_res_padding: Int | None = 0
    inpainting_mask_invert: Int | bool | None = 0
    initial_noise_multiplier: Number | None = None
    include_init_images: bool | None = False


def strength_of(body: _Processing) -> float:
    """Of denoising, in both ways to generate."""
    return STRENGTH if body.denoising_strength is None else body.denoising_strength


class Extras(BaseModel):
    """An image to enlarge, by resampling or with an upscaler of the catalog."""

    model_config = ConfigDict(protected_namespaces=())

    image: str = ""
    resize_mode: Literal[0, 1] = 0
    show_extras_results: bool | None = True
    gfpgan_visibility: Number | None = 0
    codeformer_visibility: Number | None = 0
    codeformer_weight: Number | None = 0
    upscaling_resize: Number = Field(default=2, gt=0)
    upscaling_resize_w: Int = Field(default=512, ge=1)
    upscaling_resize_h: Int = Field(default=512, ge=1)
    upscaling_crop: bool | None = True
    upscaler_1: str | None = "None"
    upscaler_2: str | None = "None"
    extras_upscaler_2_visibility: Number = Field(default=0, ge=0, le=1)
    upscale_first: bool | None = False


class Detect(BaseModel):
    """Images of which to make maps, as sd-webui-controlnet names its fields."""

    controlnet_module: str = Field(default="none", examples=["openpose"])
    controlnet_input_images: list[str] = Field(default=[], description="Image files in base64.")
    controlnet_images: list[str] = Field(
        default=[], description="The same, as `webuiapi` names it.", examples=[[]]
    )
    controlnet_processor_res: Int = Field(
        default=-1, description="Pixels of a map's shorter side, from 64; 512 otherwise."
    )
    controlnet_threshold_a: Number = -1
    controlnet_threshold_b: Number = -1
    controlnet_masks: list[str] = []
    low_vram: bool = False

    @property
    def images(self) -> list[str]:
        """Those that were sent, by whichever name."""
        return self.controlnet_input_images or self.controlnet_images


class Detected(BaseModel):
    """`warnings` names what was asked for and has no effect; it is left out without any."""

    images: list[str] = Field(description="PNG files in base64.", examples=[["iVBORw0KGgo…"]])
    info: str = Field(examples=["Success"])
    warnings: list[str] | None = None


class PngInfo(BaseModel):
    """A PNG in base64."""

    image: str


class Interrogate(BaseModel):
    """An image in base64, and what is to be said of it: `clip` for sentences, `deepdanbooru` for
    tags."""

    image: str = ""
    model: str = "clip"


class Caption(BaseModel):
    caption: str = Field(examples=["A red star on a blue background."])


class Painted(BaseModel):
    """`info` is JSON: infotexts, all_seeds, all_prompts, warnings …"""

    images: list[str] = Field(description="PNG files in base64.", examples=[["iVBORw0KGgo…"]])
    parameters: dict[str, Any] = Field(
        description="What was asked for.", examples=[{"prompt": "a red star", "steps": 20}]
    )
    info: str = Field(examples=['{"seed": 42, "infotexts": ["a red star\\nSteps: 20, …"], …}'])


class Enlarged(BaseModel):
    html_info: str = Field(description="What there is to say about it; mostly empty.")
    image: str = Field(description="A PNG file in base64.", examples=["iVBORw0KGgo…"])


class Read(BaseModel):
    """What a PNG says about how it was generated. `parameters` are those in `info`, by name."""

    info: str = Field(examples=["a red star\nSteps: 20, Sampler: DPM++ 2M, Seed: 42"])
    items: dict[str, str] = Field(description="Texts in the file, by keyword.")
    parameters: dict[str, str] = Field(examples=[{"Steps": "20", "Seed": "42"}])


class ProgressState(BaseModel):
    """Of the caller's own jobs. `progress` goes from 0 to 1; `current_image` is a JPEG."""

    progress: float = Field(examples=[0.4])
    eta_relative: float = Field(description="Seconds.", examples=[5.0])
    state: dict[str, Any] = Field(
        description="As AUTOMATIC1111's.",
        examples=[{"job_count": 1, "sampling_step": 8, "sampling_steps": 20}],
    )
    current_image: str | None = Field(description="In base64.", examples=["/9j/4AAQSkZJRg…"])
    textinfo: str | None = Field(description="Always null.", examples=[None])


class WebUiProblem(BaseModel):
    """Why a call was not served. `detail` is in the language of `Accept-Language`."""

    error: str
    detail: str
    body: str
    errors: str


class WebUiInvalid(BaseModel):
    """Why a body could not be read: each field that is wrong, as FastAPI says it."""

    detail: list[dict[str, Any]] = Field(
        examples=[[{"type": "int_parsing", "loc": ["body", "steps"], "msg": "steps: …"}]]
    )
