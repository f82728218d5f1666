"""Jobs, requests and paintings for tests; no torch."""

import dataclasses
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from bot.painting import PaintedImage, Painting
from bot.progress import Notice
from bot.recipe import Recipe, Weights
from bot.request import AdapterUse, GenerationRequest
from bot.store import CommandLine, Discord, ImageRecord, Job, JobState, NewJob, Store

CANARY = "canary-prompt-7f3a"
"""A prompt that must never appear in a log."""

REQUEST = GenerationRequest(
    prompt=CANARY,
    negative="low quality",
    model="demo",
    adapters=(AdapterUse("ink", 0.6),),
    trigger_words=("ink wash",),
    steps=10,
    guidance=7.5,
    seed=42,
    width=64,
    height=48,
    scheduler="Euler",
)


def request(**fields: Any) -> GenerationRequest:
    return replace(REQUEST, **fields)


def recipe(asked: GenerationRequest = REQUEST) -> Recipe:
    return Recipe(
        request=asked,
        checkpoint=Weights(asked.model, "a" * 64, "a" * 10),
        adapters=tuple(Weights(use.key, "c" * 64, "c" * 12) for use in asked.adapters),
        scheduler={"class": "Euler", "betas": [0.1, 2], "lower": "-inf"},
        environment={"torch": "2.13.0"},
    )


DISCORD_FIELDS = {own.name for own in dataclasses.fields(Discord)}


def discord_origin(**fields: Any) -> Discord:
    return Discord(**{"user_id": 7, **fields})


def new_job(**fields: Any) -> NewJob:
    """fields: of NewJob, and of its origin, which is Discord unless given."""
    own = {name: fields.pop(name) for name in [*fields] if name in DISCORD_FIELDS}
    if (interaction := fields.pop("interaction", None)) is not None:
        own |= {"interaction_id": interaction.id, "token": interaction.token}
    return NewJob(**{"request": REQUEST, "origin": discord_origin(**own), **fields})


def of_cli(**fields: Any) -> NewJob:
    return new_job(origin=CommandLine(), **fields)


def any_job(asked: GenerationRequest = REQUEST, **fields: Any) -> Job:
    """A job that is in no store. fields: of Job, and of its origin."""
    own = {name: fields.pop(name) for name in [*fields] if name in DISCORD_FIELDS}
    origin = fields.pop("origin", discord_origin(**own))
    values: dict[str, Any] = {
        "id": "abcdefghjk",
        "origin": origin,
        "kind": "imagine",
        "state": JobState.DONE,
        "attempt": 1,
        "crashes": 0,
        "parent_id": None,
        "request": asked,
        "person": origin.person,
        "community": origin.community,
        "created_at": 0,
        "started_at": 1_000,
        "finished_at": 3_500,
        "delivered_at": None,
        "error": None,
        "recipe": None,
        "warnings": (),
        **fields,
    }
    return Job(**values)


def origin_of(job: Job) -> Discord:
    return Discord.of(job.origin)


def in_channel(**fields: Any) -> NewJob:
    return new_job(**{"guild_id": 1, "channel_id": 20, **fields})


def painting(asked: GenerationRequest = REQUEST, *warnings: Notice) -> Painting:
    images = []
    for n in range(asked.count):
        seed = asked.image_seed(n)
        noise = hashlib.shake_256(str(seed).encode()).digest(asked.width * asked.height * 3)
        image = Image.frombytes("RGB", (asked.width, asked.height), noise)
        images.append(PaintedImage(seed, image, hashlib.sha256(image.tobytes()).hexdigest()))
    return Painting(tuple(images), recipe(asked), warnings)


def record(n: int = 0, path: Path | str = "x/demo-42.png", **fields: Any) -> ImageRecord:
    values: dict[str, Any] = {
        "n": n,
        "seed": 42 + n,
        "path": str(path),
        "bytes": 1,
        "width": 64,
        "height": 48,
        "sha256": "e" * 64,
        "pixels_sha256": "f" * 64,
        **fields,
    }
    return ImageRecord(**values)


async def running(store: Store, new: NewJob | None = None) -> Job:
    accepted = await store.accept(new or new_job())
    job = await store.start(accepted.id)
    assert job is not None
    return job


async def done(store: Store, new: NewJob | None = None) -> Job:
    job = await running(store, new)
    finished = await store.finish(job, recipe(job.request), [record()], [])
    assert finished is not None
    return finished
