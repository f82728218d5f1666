"""What callers send and get. The examples stand in the OpenAPI document."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bot.api import large_base64
from bot.api.original.examples import IMAGE, METADATA
from bot.errors import InvalidRequest
from bot.request import (
    CONTROL_IMAGES,
    CONTROLS_MAX,
    COUNT_MAX,
    DETAIL_STRENGTH,
    DETAILS_MAX,
    EDITED,
    MIXES_MAX,
    PADDING,
    SEED_MAX,
    STRENGTH,
    TYPED_MAX,
    Draft,
)
from bot.request.syntax import AdapterAsk

NAMES: Final[Mapping[str, str]] = {
    "guidance": "guidance_scale",
    "negative": "negative_prompt",
    "lora": "loras",
}
"""This interface's names for fields of a draft."""


def _no_bool(value: object) -> object:
    """Otherwise pydantic takes true for 1."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


def _typed(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Int = Annotated[int, BeforeValidator(_no_bool)]
Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Text = Annotated[str, BeforeValidator(_typed, json_schema_input_type=str | float)]
"""Also a number, as it is typed."""
_Short = Annotated[str, Field(max_length=TYPED_MAX)]
Values = Annotated[_Short, BeforeValidator(_typed, json_schema_input_type=_Short | float)]
"""As Text, of what varies in a comparison."""


class Lora(BaseModel):
    """A LoRA or LyCORIS adapter. `text_weight` is for the text encoders."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="A key or name from `GET /loras`.", examples=["sketch"])
    weight: Number | None = Field(
        default=None, description="Its own default weight if not given.", examples=[0.8]
    )
    text_weight: Number | None = Field(
        default=None, description="For the text encoders; as `weight` if not given.", examples=[0.5]
    )


def asked_loras(loras: Sequence[Lora]) -> tuple[AdapterAsk, ...]:
    return tuple(AdapterAsk(lora.name, lora.weight, lora.text_weight) for lora in loras)


class Wanted(BaseModel):
    """What an image is to be. Limits and defaults may differ by model."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(
        description="What to generate, up to 2,000 characters. Weights, `BREAK`, `embedding:…` and "
        "`<lora:…>` work as on Discord.",
        examples=["a red star on a blue background"],
    )
    negative_prompt: str | None = Field(default=None, description="What to keep out of the image.")
    model: str | None = Field(default=None, description="A key or name from `GET /models`.")
    loras: list[Lora] = Field(default=[], description="Up to four.")
    steps: Int | None = Field(default=None, description="10–100, 30 by default.")
    guidance_scale: Number | None = Field(default=None, description="1–30, 7.5 by default.")
    seed: Int | None = Field(
        default=None,
        description=f"0–{SEED_MAX}. The same seed gives the same image; -1 draws one.",
    )
    variation: Text | None = Field(
        default=None,
        description="A variation of the image with `seed`: how far to go from its noise to that of "
        f"another seed, 0–1, as `12:0.2`; without a seed, `0.2`, one is drawn. Up to {MIXES_MAX} "
        "after each other vary a variation: `12:0.2, 99:0.1`. Further images take the seeds after "
        "the last one.",
        examples=["12:0.2"],
    )
    width: Int | None = Field(default=None, description="In pixels, together with `height`.")
    height: Int | None = Field(default=None, description="In pixels, together with `width`.")
    size: str | None = Field(default=None, description="`832x1216`, or a ratio such as `16:9`.")
    scheduler: str | None = Field(
        default=None, description="Sampling method.", examples=["DPM++ 2M Karras"]
    )
    preset: str | None = Field(
        default=None,
        description="`draft`, `fast` or a style of the server's, or several: `noir, fast`.",
    )
    hires: Number | None = Field(default=None, description="Scale of a second pass: 1.25, 1.5, 2.")
    image: str | None = Field(
        default=None,
        description="An image to start from: the `sha256` that `POST /images` returned, or a PNG, "
        "JPEG or WebP file in base64, also as a data URL.",
    )
    strength: Number | None = Field(
        default=None,
        description="How much of `image` to change: 0.05–1, 0.6 by default; 1 with `mask` or "
        "`extend`.",
    )
    mask: str | None = Field(
        default=None,
        description="Which part of `image` to change: a file likewise, of the same shape, or the "
        "`sha256` of one uploaded with `?mask=true`. What is transparent in it is changed, or, if "
        "nothing is, what is white. The rest is kept, but for a seam pixel for pixel.",
    )
    extend: Text | None = Field(
        default=None,
        description="How far to extend `image` beyond its edges: `zoom 1.5`, sides such as "
        "`left` or `left 25%, right`, or a ratio such as `16:9`. `768x512+128+0` says where the "
        "image lies in a result of the given size: its own size there, and its place from the "
        "left and from above.",
        examples=["left 25%, right 25%"],
    )
    inpaint_area: str | None = Field(
        default=None,
        description="`masked` paints only what `mask` says, at the model's usual size "
        "or at `size`, and puts it into `image`, which keeps its own size; so what is small in it "
        "gets more detail. `whole`, the default, paints all of it.",
        examples=["masked"],
    )
    inpaint_padding: Int | None = Field(
        default=None,
        description="With `masked`, how many pixels around the mask are painted with it, so that "
        f"both fit: {PADDING[0]}–{PADDING[2]}, {PADDING[1]} by default.",
    )
    tile: bool | None = Field(
        default=None,
        description="Whether opposite edges of the image are to meet, so that copies of it can be "
        "laid side by side without a seam.",
    )
    reference: str | None = Field(default=None, description="An image to be guided by, likewise.")
    reference_weight: Number | None = Field(
        default=None, description="How closely to follow `reference`: 0–1.5."
    )
    control: str | None = Field(
        default=None,
        description="ControlNets that make the result follow the edges, the depth, a pose and so "
        "on of another image: keys or names from `GET /controlnets`, each with a weight of 0–2 if "
        "you like, `canny:0.8`. One for several types is told which: `union/depth`. `until 60%` "
        "and `from 20%` limit it to a part of the steps; `as map` says that the image is the map "
        f"already, of the edges or whatever it is, and none has to be made. Up to {CONTROLS_MAX} "
        "with a comma between them.",
        examples=["canny:0.8 until 60%"],
    )
    control_image: str | None = Field(
        default=None,
        description="What they follow, likewise; `image` if it is not given. Without `control`, "
        "the first ControlNet for the model follows it.",
    )
    control_image2: str | None = Field(
        default=None, description="What the second one follows, if that is another image."
    )

    detail: str | None = Field(
        default=None,
        description="What of the finished images to find and paint again at full size: `face`, or "
        f"up to {DETAILS_MAX} English words, each with a strength of {STRENGTH[0]:g}–"
        f"{STRENGTH[2]:g} if you like ({DETAIL_STRENGTH:g} by default), `face, hand:0.3`.",
        examples=["face, hand:0.3"],
    )
    edit: list[str] = Field(
        default=[],
        description=f"Up to {len(EDITED)} images to change as the prompt says, likewise, with a "
        "model whose `edits` in `GET /models` says that it takes so many.",
    )

    def draft(self) -> Draft:
        """Without the images. Raises InvalidRequest if the size is given in two ways."""
        return Draft(
            prompt=self.prompt,
            negative=self.negative_prompt,
            model=self.model,
            adapters=asked_loras(self.loras),
            steps=self.steps,
            guidance=self.guidance_scale,
            seed=self.seed,
            variation=self.variation,
            size=self._size(),
            scheduler=self.scheduler,
            preset=self.preset,
            hires=self.hires,
            strength=self.strength,
            extend=self.extend,
            inpaint_area=self.inpaint_area,
            inpaint_padding=self.inpaint_padding,
            reference_weight=self.reference_weight,
            control=self.control,
            detail=self.detail,
            tile=self.tile,
        )

    def pictures(self) -> dict[str, bytes | str]:
        """The images that are given, by field. Takes long if they are large. Raises
        InvalidRequest."""
        if len(self.edit) > len(EDITED):
            raise InvalidRequest(
                "edit", "number.range", value=len(self.edit), min=0, max=len(EDITED)
            )
        given = {"image": self.image, "mask": self.mask, "reference": self.reference}
        given |= dict(zip(CONTROL_IMAGES, (self.control_image, self.control_image2), strict=True))
        given |= dict(zip(EDITED, self.edit, strict=False))
        return {name: picture(name, text) for name, text in given.items() if text is not None}

    def _size(self) -> str | None:
        if self.width is None and self.height is None:
            return self.size
        if self.size is not None:
            raise InvalidRequest("size", "api.size.twice")
        if self.width is None or self.height is None:
            missing = "height" if self.height is None else "width"
            raise InvalidRequest(missing, "api.size.half")
        return f"{self.width}x{self.height}"


class Generate(Wanted):
    """What to generate; the prompt alone is enough. Limits and defaults may differ by model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "a red star on a blue background"},
                {
                    "prompt": "a castle in the clouds",
                    "model": "sdxl-base",
                    "loras": [{"name": "anime-style", "weight": 0.8}, {"name": "detail"}],
                    "steps": 40,
                    "guidance_scale": 8.5,
                    "seed": 42,
                },
                {"prompt": "a straw hat", "image": "7f" * 32, "mask": "c2" * 32},
                {"prompt": "a beach", "image": "7f" * 32, "extend": "zoom 1.5"},
                {"prompt": "a glass house", "control": "canny:0.8", "control_image": "7f" * 32},
            ]
        },
    )

    count: Int | None = Field(default=None, description=f"How many images: 1–{COUNT_MAX}.")

    def draft(self) -> Draft:
        return replace(super().draft(), count=self.count)


SHA256_DIGITS: Final = 64


def picture(field: str, text: str) -> bytes | str:
    """An image in base64, maybe as a data URL, or the sha256 of an uploaded one.

    Takes 0.3 s for 20 MB. Raises InvalidRequest.
    """
    if len(text) == SHA256_DIGITS:
        return text.lower()
    if text.startswith("data:"):
        _, _, text = text.partition(",")
    try:
        return large_base64.decoded(text)
    except ValueError:
        raise InvalidRequest(field, "api.picture.encoding") from None


class Queued(BaseModel):
    """A job that was accepted. `eta`: seconds until it will probably be ready."""

    job_id: str = Field(examples=["k3v9m2xqpa"])
    status: Literal["queued", "running", "done", "failed", "cancelled"] = Field(examples=["queued"])
    position: int | None = Field(examples=[1])
    seed: int = Field(examples=[42])
    variation: str | None = Field(description="As in the call, with its seeds.", examples=[None])
    eta: int | None = Field(examples=[12])


class Status(BaseModel):
    """A job as it is now. `progress` goes from 0 to 1; `step` counts within the current image."""

    job_id: str = Field(examples=["k3v9m2xqpa"])
    status: Literal["queued", "running", "done", "failed", "cancelled"] = Field(examples=["done"])
    position: int | None = Field(
        description="Place in the queue; null once it runs.", examples=[None]
    )
    progress: float = Field(examples=[0.4])
    step: int = Field(examples=[12])
    steps: int = Field(examples=[30])
    stage: str | None = Field(examples=["painting"])
    eta: int | None = Field(
        description="Seconds until it will probably be ready; null if unknown.", examples=[5]
    )
    lane: str | None = Field(
        description="Name of the GPU that generates it, or did; see `/lanes`.", examples=["gpu"]
    )
    larger_gpu: bool = Field(
        description="Whether it waits for a GPU with more memory than some have.", examples=[False]
    )
    error: str | None = Field(description="Why it failed.", examples=[None])
    images: list[dict[str, Any]] = Field(
        description="One entry for each image, once the job is done.", examples=[[IMAGE]]
    )
    words: str | None = Field(
        description="What is in the image, for `POST /describe`, once the job is done.",
        examples=[None],
    )
    warnings: list[str] = Field(
        description="What the caller should know about the result.", examples=[[]]
    )
    metadata: dict[str, Any] | None = Field(
        description="How the images were generated, without the prompts; null until then.",
        examples=[METADATA],
    )


class Uploaded(BaseModel):
    """An image that was kept: name it by its `sha256`. Unused, it is deleted after an hour."""

    sha256: str = Field(description="Of the image as it was kept.", examples=["7f" * 32])
    width: int = Field(examples=[1024])
    height: int = Field(examples=[1024])


class Problem(BaseModel):
    """Why a call was not served. What the sentence names is there as a field of its own, too."""

    model_config = ConfigDict(extra="allow")

    detail: str = Field(examples=["steps: 5 won't work. Choose a value from 10 to 100."])
    code: str = Field(examples=["number.range"])
    field: str | None = Field(default=None, examples=["steps"])
