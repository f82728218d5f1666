"""What callers send to compare, to enlarge and to describe. The examples stand in the OpenAPI
document."""

from pydantic import BaseModel, ConfigDict, Field

from bot.api.original.bodies import Int, Lora, Number, Values, Wanted, asked_loras, picture
from bot.request import (
    AXES,
    CELLS_MAX,
    CRISP,
    DESCRIBE_STYLES,
    DETAILED,
    REPAINT,
    SEED_MAX,
    UPSCALE_SCALES,
    CompareDraft,
    DescribeDraft,
    UpscaleDraft,
    axes_asked,
)

_AXES = ", ".join(f"`{axis}`" for axis in AXES)
_STYLES = ", ".join(f"`{style}`" for style in DESCRIBE_STYLES)
_SCALES = ", ".join(f"{scale:g}" for scale in UPSCALE_SCALES)


class Compare(Wanted):
    """One image again and again with one or two things changed. All else is as in `/generate`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "a red star", "axis": "steps", "values": "10, 20, 30", "seed": 42},
                {
                    "prompt": "a castle in the clouds",
                    "loras": [{"name": "anime-style"}],
                    "axis": "model",
                    "axis2": "weight",
                    "values2": "0.4, 0.7, 1",
                },
            ]
        },
    )

    axis: str = Field(
        description=f"What varies from column to column: {_AXES}.", examples=["steps"]
    )
    values: Values | None = Field(
        default=None,
        description="Its values, separated by commas, or by semicolons if there is one. For "
        "`lora`: `off`, `on` and LoRAs, joined by `+`; for `weight`: `sketch: 0.4, 1` if there are "
        "several LoRAs; for `prompt`: a part of the prompt, then what replaces it. Usual ones if "
        f"left out. A sheet has up to {CELLS_MAX} images.",
        examples=["10, 20, 30"],
    )
    axis2: str | None = Field(
        default=None, description="What varies from row to row, likewise.", examples=["model"]
    )
    values2: Values | None = Field(default=None, description="Its values, likewise.")

    def comparison(self) -> CompareDraft:
        """Without the images. Raises InvalidRequest."""
        asks = axes_asked(self.axis, self.values, self.axis2, self.values2)
        return CompareDraft(draft=self.draft(), asks=asks)


class Upscale(BaseModel):
    """An image to enlarge; the image alone is enough."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"image": "7f" * 32},
                {"image": "7f" * 32, "scale": 4, "upscaler": "general-4x"},
                {"image": "7f" * 32, "mode": "repaint", "prompt": "a castle in the clouds"},
            ]
        },
    )

    image: str = Field(
        description="The `sha256` that `POST /images` returned, or a PNG, JPEG or WebP file in "
        "base64, also as a data URL.",
    )
    scale: Number | None = Field(
        default=None, description=f"Of both sides: {_SCALES}; 2 by default."
    )
    upscaler: str | None = Field(default=None, description="A key or name from `GET /upscalers`.")
    mode: str | None = Field(
        default=None,
        description=f"`{CRISP}`, the upscaler alone, or `{REPAINT}`, which then paints over what "
        f"came out; `{CRISP}` by default. All that follows is for `{REPAINT}`, which needs a "
        "prompt.",
    )
    prompt: str | None = Field(default=None, description="What is in the image.")
    negative_prompt: str | None = Field(default=None, description="What to keep out of it.")
    model: str | None = Field(default=None, description="A key or name from `GET /models`.")
    loras: list[Lora] = Field(default=[], description="Up to four.")
    strength: Number | None = Field(
        default=None, description="How much to change: 0.05–1, 0.3 by default."
    )
    steps: Int | None = Field(default=None, description="As in `/generate`.")
    seed: Int | None = Field(default=None, description=f"0–{SEED_MAX}; -1 draws one.")

    def draft(self) -> UpscaleDraft:
        """Without the image."""
        return UpscaleDraft(
            scale=self.scale,
            upscaler=self.upscaler,
            mode=self.mode,
            prompt=self.prompt,
            negative=self.negative_prompt,
            model=self.model,
            adapters=asked_loras(self.loras),
            strength=self.strength,
            steps=self.steps,
            seed=self.seed,
        )

    def pictures(self) -> dict[str, bytes | str]:
        """The image. Takes long if it is large. Raises InvalidRequest."""
        return {"image": picture("image", self.image)}


class Describe(BaseModel):
    """An image to describe in words."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"image": "7f" * 32}, {"image": "7f" * 32, "style": "short"}]
        },
    )

    image: str = Field(
        description="The `sha256` that `POST /images` returned, or a PNG, JPEG or WebP file in "
        "base64, also as a data URL.",
    )
    style: str | None = Field(
        default=None,
        description=f"How: {_STYLES}; `{DETAILED}` by default. `tags` needs a network that was "
        "trained for them.",
    )

    def draft(self) -> DescribeDraft:
        """Without the image."""
        return DescribeDraft(style=self.style)

    def pictures(self) -> dict[str, bytes | str]:
        """The image. Takes long if it is large. Raises InvalidRequest."""
        return {"image": picture("image", self.image)}
