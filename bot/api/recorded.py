"""What `bot.api.records` answers, for its callers too: nothing here imports FastAPI."""

from typing import Any

from pydantic import BaseModel, Field


class Told(BaseModel):
    """A warning, or why a job failed. `code` stays as it is; `text` is for people."""

    code: str = Field(examples=["adapter.partial"])
    params: dict[str, Any] = Field(examples=[{"adapter": "ink", "matched": 5, "total": 9}])
    text: str = Field(examples=["ink: only 5 of its 9 modules fit this model."])


class RecordedImage(BaseModel):
    """One image. `url` is relative to the server; `file` is a good name for the file."""

    url: str = Field(examples=["/image/k3v9m2xqpa/1"])
    file: str = Field(examples=["demo-42.png"])
    seed: int = Field(examples=[42])
    variation: str | None = Field(
        default=None,
        description="What is mixed into the noise of `seed`, as in `POST /generate`.",
        examples=[None],
    )
    cell: list[str] | None = Field(
        default=None,
        description="Of a comparison: the column's value, then the row's; null for the sheet.",
        examples=[None],
    )
    width: int = Field(examples=[1024])
    height: int = Field(examples=[1024])
    sha256: str = Field(examples=["7f" * 32])


class Record(BaseModel):
    """A job, with everything that is needed to generate the same images again."""

    job_id: str = Field(examples=["k3v9m2xqpa"])
    status: str = Field(
        description="queued, running, done, failed or cancelled.", examples=["done"]
    )
    model: str = Field(examples=["sdxl-base"])
    seconds: float = Field(description="How long it was generated.", examples=[7.9])
    images: list[RecordedImage] = Field(description="Once the job is done.")
    words: str | None = Field(
        default=None,
        description="What is in the image that it describes, once the job is done.",
        examples=[None],
    )
    recipe: dict[str, Any] | None = Field(
        description="The request and what it was resolved to: hashes of all weights, the "
        "scheduler's configuration, versions. Null until the job is done."
    )
    warnings: list[Told] = Field(description="What the caller should know about the result.")
    error: Told | None = Field(description="Why it failed.")


class Entries(BaseModel):
    """The catalog's entries of one kind. `problems` are for keys with `--admin`."""

    entries: list[dict[str, Any]] = Field(
        description="As in the catalog's files, with what is known about their weights.",
        examples=[[{"key": "demo", "name": "Demo, flat", "files": "present", "problems": []}]],
    )
    problems: list[str] = Field(
        description="What is wrong in the catalog's files.",
        examples=[["catalog/loras.toml: ink: no such file"]],
    )
