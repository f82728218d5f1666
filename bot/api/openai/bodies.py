"""What callers send: OpenAI's fields, and as extra ones what the original interface has."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBytes

from bot.api.original.bodies import Int, Lora, Number, Text
from bot.request import COUNT_MAX, SEED_MAX

Quality = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]
Format = Literal["png", "jpeg", "webp"]

COMPRESSION_MAX: Final = 100
PARTIAL_MAX: Final = 3


class Options(BaseModel):
    """What both calls take. The prompt alone is enough."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(examples=["a red star on a blue background"])
    model: str | None = Field(
        default=None,
        description="An `id` from `GET /v1/models`. OpenAI's own names, such as `gpt-image-1` or "
        "`dall-e-3`, stand for the default model.",
    )
    n: Int | None = Field(default=None, description=f"How many images: 1–{COUNT_MAX}.")
    size: str | None = Field(
        default=None,
        description="`1024x1024`, `auto`, or a ratio such as `16:9`. A size of OpenAI's that the "
        "model cannot do becomes the model's own for that ratio.",
    )
    quality: Quality | None = Field(
        default=None,
        description="`low`: the preset `draft`. `auto`, `medium`, `standard`: the model's "
        "defaults. `high`, `hd`: half as many steps more; `xhigh`, `max`: twice as many. Ignored "
        "if `steps` or `preset` is given.",
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        default=None,
        description="`url` gives links that are valid for an hour and need no key. By default "
        "`b64_json`; `url` if the model is called `dall-e-…`.",
    )
    output_format: Format | None = Field(
        default=None, description="`png` by default, which alone carries how it was made."
    )
    output_compression: Int | None = Field(
        default=None, description="Quality of a `jpeg` or `webp`: 0–100, 100 by default."
    )
    background: Literal["auto", "opaque", "transparent"] | None = Field(
        default=None, description="`transparent` is refused."
    )
    stream: bool | None = Field(default=None, description="Answer with Server-Sent Events.")
    partial_images: Int | None = Field(
        default=None, description="Previews of each image in a stream: 0–3."
    )
    moderation: Literal["auto", "low"] | None = Field(default=None, description="Has no effect.")
    user: str | None = Field(default=None, description="Has no effect.")
    safety_identifier: str | None = Field(default=None, description="Has no effect.")

    negative_prompt: str | None = None
    loras: list[Lora] | None = Field(default=None, description="Up to four.")
    steps: Int | None = Field(default=None, description="10–100, 30 by default.")
    guidance_scale: Number | None = Field(default=None, description="1–30, 7.5 by default.")
    seed: Int | None = Field(
        default=None,
        description=f"0–{SEED_MAX}. The same seed gives the same image; -1 draws one.",
    )
    scheduler: str | None = None
    preset: str | None = Field(
        default=None,
        description="`draft`, `fast` or a style of the server's, or several: `noir, fast`.",
    )
    hires: Number | None = Field(default=None, description="Scale of a second pass: 1.25, 1.5, 2.")
    tile: bool | None = Field(
        default=None, description="Whether opposite edges are to meet, as in `POST /generate`."
    )
    reference: str | None = Field(
        default=None,
        description="An image to be guided by: in base64, as a data URL, or the `sha256` that "
        "`POST /images` returned.",
    )
    reference_weight: Number | None = None
    control: str | None = Field(
        default=None,
        description="ControlNets that make the result follow `control_image`, or else the image "
        "of an edit, as in `POST /generate`.",
        examples=["canny:0.8"],
    )
    detail: str | None = Field(
        default=None,
        description="What of the finished images to paint again, as in `POST /generate`.",
        examples=["face"],
    )
    control_image: str | None = Field(default=None, description="Likewise.")
    control_image2: str | None = Field(
        default=None, description="What the second one follows, if that is another image."
    )


class Generation(Options):
    """What to generate."""

    style: Literal["vivid", "natural"] | None = Field(default=None, description="Has no effect.")


class ImageRef(BaseModel):
    """An image in a JSON body: a data URL, or the `sha256` that `POST /images` returned."""

    model_config = ConfigDict(extra="forbid")

    image_url: str | None = None
    file_id: str | None = None


def _one_or_more(schema: dict[str, Any]) -> None:
    items = {"type": "string"}
    schema.pop("type")
    schema |= {"anyOf": [items, {"type": "array", "items": schema.pop("items") and items}]}


def _no_bytes(schema: dict[str, Any]) -> None:
    """A field that forms send as a file."""
    schema["anyOf"] = [each for each in schema["anyOf"] if each.get("format") != "binary"]


class Edit(Options):
    """What to make of an image. `image` is OpenAI's field in forms, and `images` the one in JSON.

    In JSON, `image` is text as for `reference`.
    """

    image: list[StrictBytes | str] = Field(default=[], json_schema_extra=_one_or_more)
    images: list[ImageRef] = []
    mask: StrictBytes | str | ImageRef | None = Field(
        default=None,
        description="Which part of the image to change, of the same shape: what is transparent in "
        "it; or what is white, if nothing is. In JSON, as `image` or as an entry of `images`.",
        json_schema_extra=_no_bytes,
    )
    inpaint_area: str | None = Field(
        default=None,
        description="Not OpenAI's: `masked` paints only what is masked, as in `POST /generate`.",
    )
    inpaint_padding: Int | None = Field(default=None, description="Likewise.")
    extend: Text | None = Field(
        default=None,
        description="Not OpenAI's: how far to extend the image, as in `POST /generate`.",
        examples=["zoom 1.5"],
    )
    input_fidelity: Literal["low", "high"] | None = Field(
        default=None,
        description="`high` changes less of the image: a `strength` of 0.4. A model that edits "
        "images by what is said looks at them as they are, with or without it.",
    )
    strength: Number | None = Field(
        default=None,
        description="How much of the image to change: 0.05–1, 0.6 by default; 1 with `mask` or "
        "`extend`.",
    )


class Usage(BaseModel):
    """Always zero: no one counts tokens here."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: dict[str, int] = {"image_tokens": 0, "text_tokens": 0}


class Image(BaseModel):
    """`revised_prompt`: the prompt that was drawn, with the trigger words that it lacked."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    seed: int = Field(examples=[42])
    variation: str | None = Field(
        default=None,
        description="Of a variation, which generation data in the prompt may ask for.",
        examples=[None],
    )


class Images(BaseModel):
    """`job_id`, `model`, `warnings`, the seeds and variations are not OpenAI's."""

    created: int = Field(description="Seconds since the epoch.")
    data: list[Image]
    background: Literal["opaque"] = "opaque"
    output_format: Format
    quality: Literal["low", "medium", "high", "xhigh", "max"]
    size: str = Field(examples=["1024x1024"])
    usage: Usage = Field(default=Usage(), description="Always zero.")
    job_id: str = Field(examples=["k3v9m2xqpa"])
    model: str = Field(examples=["sdxl-base"])
    warnings: list[str] = Field(description="What the caller should know about the result.")


class Model(BaseModel):
    id: str = Field(examples=["sdxl-base"])
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="Always zero.")
    owned_by: str = Field(default="imagen", examples=["imagen"])
    name: str = Field(examples=["Stable Diffusion XL"])


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Error(BaseModel):
    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["size"])
    code: str | None = Field(examples=["invalid_value"])


class OpenAIProblem(BaseModel):
    """Why a call was not served."""

    error: Error
