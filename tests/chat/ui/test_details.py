"""The details of a result: within Discord's limits whatever is in them."""

from dataclasses import replace

from hypothesis import given, settings

from bot.chat.ui.details import details_embed
from bot.recipe import Recipe, Weights
from bot.request import AdapterUse, GenerationRequest
from bot.texts.language import Texts
from bot.today import Today
from catalog import SCHEDULERS
from tests.chat.ui.test_messages import REQUESTS, check_limits, job
from tests.store.factories import recipe, record, request

TEXTS = Texts.read()
LONGEST = request(
    prompt="*" * 2000,
    negative="_" * 2000,
    model="m" * 48,
    adapters=tuple(AdapterUse(f"{'k' * 47}{n}", -1.2345678, -2.3456789) for n in range(9)),
    trigger_words=("~" * 200,) * 9,
    count=4,
    scheduler=max(SCHEDULERS, key=len),
)


def of(asked: GenerationRequest) -> Recipe:
    weights = tuple(Weights("*" * 48, "a" * 64, "a" * 12) for _ in range(9))
    environment = {f"library {n}": "*" * 60 for n in range(20)}
    made = recipe(asked)
    return replace(made, adapters=weights, embeddings=weights, environment=environment)


def check(asked: GenerationRequest) -> None:
    images = [record(n, seed=asked.image_seed(n)) for n in range(asked.count)]
    names = tuple("*" * 48 for _ in range(20))
    for language in ("en-US", "de", "fr"):
        say = TEXTS.speaker(language)
        for now in (None, Today(), Today(names, names, names)):
            done = job(asked, recipe=of(asked))
            check_limits(details_embed(say, done, images, now))


@settings(max_examples=40, deadline=None)
@given(asked=REQUESTS)
def test_any_result(asked: GenerationRequest) -> None:
    check(asked)


def test_the_longest_result() -> None:
    check(LONGEST)
