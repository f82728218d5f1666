"""A seeded day in a large community: who requests what and when, and how long it takes.

Assumptions: activity falls off by Zipf's law, so that a few people request most of the images;
people come in sessions of a few images, mostly with one model, and some queue dozens at once;
evenings are busy. The card takes 4.6 s for an SDXL image of 30 steps at 1024×1024, and 4 s to
switch models.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from bot.queue.estimate import needs
from bot.queue.policy import InPlace
from bot.request import AdapterUse, GenerationRequest

POPULARITY = (40, 20, 14, 11, 8, 7)
"""How many of a hundred sessions use each model."""
LORAS = tuple(f"lora-{n}" for n in range(40))
SIZES = ((1024, 1024), (832, 1216), (1216, 832), (768, 768), (1344, 768))
STEPS = (20, 25, 30, 30, 30, 40, 8)
SWITCH = 4.0
NOISE = 0.06
"""Spread of a job's duration around the usual one for its request."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is requested. seconds: from the first job to the last."""

    jobs: int
    users: int
    seconds: float

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(f"model-{n}" for n in range(len(POPULARITY)))


DAY = Shape(10_000, 500, 86_400)
QUICK = Shape(300, 30, 2_400)


@dataclass(frozen=True, slots=True)
class Ask:
    """One job. at: seconds into the day. luck: its duration ÷ the usual one for its request."""

    at: float
    user: int
    request: GenerationRequest
    luck: float


def draw(shape: Shape, seed: int) -> list[Ask]:
    """All jobs of the day, in their order."""
    chance = random.Random(seed)
    activity = [1 / (rank + 5) ** 0.9 for rank in range(shape.users)]
    asks: list[Ask] = []
    # Everyone has at least one session.
    sessions = [*range(shape.users)]
    while len(asks) < shape.jobs:
        user = sessions.pop() if sessions else chance.choices(range(shape.users), activity)[0]
        asks += _session(shape, user, chance)
    return sorted(asks[: shape.jobs], key=lambda ask: ask.at)


def _session(shape: Shape, user: int, chance: random.Random) -> list[Ask]:
    at = _moment(shape, chance)
    flood = chance.random() < 0.03
    pictures = chance.randint(15, 40) if flood else 1 + int(chance.expovariate(1 / 3))
    gap = 2.0 if flood else 25.0
    favourite = random.Random(user).choices(shape.models, POPULARITY)[0]
    model = favourite if chance.random() < 0.7 else chance.choices(shape.models, POPULARITY)[0]
    loras = chance.sample(LORAS, chance.choice((0, 0, 1, 1, 2)))
    asks = []
    for _ in range(pictures):
        if chance.random() < 0.15:
            loras = chance.sample(LORAS, chance.choice((0, 1, 2)))
        asks.append(Ask(at, user, _request(model, loras, chance), _luck(chance)))
        at = min(shape.seconds, at + chance.expovariate(1 / gap))
    return asks


def _moment(shape: Shape, chance: random.Random) -> float:
    """When a session begins: four times as likely in the evening as early in the morning."""
    while True:
        moment = chance.random()
        if chance.random() < 0.625 - 0.375 * math.cos(2 * math.pi * (moment - 0.2)):
            return moment * shape.seconds


def _request(model: str, loras: Sequence[str], chance: random.Random) -> GenerationRequest:
    width, height = chance.choice(SIZES)
    return GenerationRequest(
        prompt="",
        negative="",
        model=model,
        adapters=tuple(AdapterUse(key, 0.8) for key in loras),
        steps=chance.choice(STEPS),
        guidance=6.0,
        seed=0,
        width=width,
        height=height,
        count=chance.choices((1, 2, 4), (85, 10, 5))[0],
        scheduler="Euler",
    )


def _luck(chance: random.Random) -> float:
    # Now and then something else slows a job down: a download, another program on the card.
    return chance.lognormvariate(0, NOISE) * (chance.uniform(2, 5) if chance.random() < 0.01 else 1)


def seconds(ask: Ask, before: InPlace) -> float:
    """How long the card takes. The bot does not know this; it has to learn it."""
    request, wanted = ask.request, needs(ask.request)
    pixels = request.width * request.height / 2**20
    step = 0.14 * pixels**1.2  # attention costs more than in proportion
    total = 0.25 + request.count * (request.steps * step + 0.35 * pixels)
    if before.model != wanted.model:
        total += SWITCH
    if before != wanted:
        total += 0.15 * len(wanted.adapters)
    return float(total * ask.luck)
