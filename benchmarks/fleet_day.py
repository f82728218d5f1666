"""A seeded part of a day of a very large community, and the cards that serve it.

Assumptions: each user of the day comes once, as in benchmarks/queue_day.py: for a few jobs, mostly
with one model, and now and then for dozens at once; most people come in the evening. 50 models are
used by Zipf's law, and so are the LoRA sets of each. A tenth of the models need more memory than a
card of 12 GB has. A card fails once a day and is back after five minutes; its job is done again.

What is not assumed is taken from published measurements of SDXL at 1024²:

- seconds per image of 30 steps: RTX 4090 2.2 (OneDiff, 20 steps in 1.56 s), RTX 3090 4.9
  (OneDiff, 20 steps in 3.52 s), RTX 3060 with 12 GB 14 (stable-fast, 1.85 s for a step of four);
- a model from an NVMe disk 1–2 s, of which 2 is taken; from memory 0.28 s over PCIe 4, and 0.2 s to
  construct it; a card's machine keeps the last four in memory;
- LoRAs: 0.1 s to read each, 0.13 s to add them to the weights (Katz, ATC'25: 0.09 to 0.13 s).
"""

import math
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from bot.queue.policy import InPlace

MODELS = 50
LORA_SETS = 200
LARGE = 10
"""Every so many models, one needs a large card."""
SMALL_CARD = 12 * 10**9
LARGE_CARD = 24 * 10**9
CARDS = ((2.2, LARGE_CARD), (4.9, LARGE_CARD), (14.0, SMALL_CARD))
"""Seconds per image, and memory."""
IMAGES = ((1, 85), (2, 10), (4, 5))
FROM_DISK = 2.0 + 0.2
FROM_MEMORY = 0.28 + 0.2
KEPT = 4
READ_LORA = 0.1
ADD_LORAS = 0.13
MTBF = 86_400.0
REPAIR = 300.0
NOISE = 0.06


@dataclass(frozen=True, slots=True)
class Shape:
    """So many cards for so many users a day; of that day, `hours` up to its busiest moment."""

    cards: int
    users: int
    hours: float


@dataclass(frozen=True, slots=True)
class Ask:
    """One job. images: how many, with luck: the work ÷ the usual one for as many images.

    large: whether it needs a large card.
    """

    at: float
    user: int
    model: str
    adapters: tuple[str, ...]
    images: int
    luck: float
    large: bool


class _Zipf:
    def __init__(self, count: int, power: float) -> None:
        self._shares = list(accumulate(1 / (rank + 1) ** power for rank in range(count)))

    def draw(self, chance: random.Random) -> int:
        return bisect(self._shares, chance.random() * self._shares[-1])


MODEL = _Zipf(MODELS, 1.1)
LORA_SET = _Zipf(LORA_SETS, 1.0)
BUSIEST = 0.7
"""When most people come, as a part of the day."""


def busy(moment: float) -> float:
    """How many come at a moment of the day, 0 to 1: relative to the mean."""
    return 1 - 0.6 * math.cos(2 * math.pi * (moment - BUSIEST + 0.5))


def draw(shape: Shape, seed: int) -> list[Ask]:
    """All jobs of that part of the day, in their order; the time begins at 0 with it."""
    chance = random.Random(seed)
    hours = min(24.0, shape.hours)
    begins = BUSIEST - hours / 24
    users = round(shape.users * sum(busy(begins + hours / 24 * (n + 0.5) / 96) for n in range(96)))
    users = max(1, round(users / 96 * hours / 24))
    asks: list[Ask] = []
    for user in range(users):
        asks += _session(user, _moment(begins, hours, chance), chance)
    return sorted((ask for ask in asks if ask.at < hours * 3_600), key=lambda ask: ask.at)


def _moment(begins: float, hours: float, chance: random.Random) -> float:
    while True:
        part = chance.random()
        if chance.random() * 1.6 < busy(begins + part * hours / 24):
            return part * hours * 3_600


def _session(user: int, at: float, chance: random.Random) -> Iterator[Ask]:
    flood = chance.random() < 0.03
    jobs = chance.randint(15, 40) if flood else 1 + int(chance.expovariate(1 / 3))
    gap = 2.0 if flood else 25.0
    model, loras = MODEL.draw(chance), _loras(chance)
    for _ in range(jobs):
        if chance.random() < 0.15:
            loras = _loras(chance)
        used = model if chance.random() < 0.8 else MODEL.draw(chance)
        images = chance.choices(*zip(*IMAGES, strict=True))[0]
        luck = chance.lognormvariate(0, NOISE)
        large = used % LARGE == LARGE // 2
        yield Ask(at, user, f"model-{used}", loras, images, luck, large)
        at += chance.expovariate(1 / gap)


def _loras(chance: random.Random) -> tuple[str, ...]:
    """Half of all sets are empty; one set is of one to three LoRAs."""
    if chance.random() < 0.5:
        return ()
    number = LORA_SET.draw(chance)
    return tuple(f"lora-{number}-{part}:0.8" for part in range(1 + number % 3))


class Card:
    """One card: what it has loaded, and how long it takes."""

    def __init__(self, number: int) -> None:
        self.per_image, self.memory = CARDS[number % len(CARDS)]
        self.here = InPlace()
        self.switches = 0
        self._kept: list[str] = []

    def run(self, ask: Ask) -> float:
        """Generate `ask`; returns the seconds, and has loaded what it needs."""
        seconds = self.per_image * ask.images * ask.luck
        if ask.model != self.here.model:
            self.switches += 1
            seconds += FROM_MEMORY if ask.model in self._kept else FROM_DISK
            self._kept = [*(model for model in self._kept if model != ask.model), ask.model][-KEPT:]
        needs = InPlace(ask.model, ask.adapters)
        if needs != self.here and ask.adapters:
            seconds += ADD_LORAS + READ_LORA * len(ask.adapters)
        self.here = needs
        return seconds

    def restart(self) -> None:
        """It failed: nothing is loaded any more."""
        self.here, self._kept = InPlace(), []
