"""`GET /lanes` and what `/status` says of them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.api.describing import status
from bot.api.original.lanes import lanes
from bot.progress import Progress, Stage
from bot.queue import Lane
from bot.store import ApiKey, JobState
from catalog import Catalog, ModelEntry
from tests.language import TEXTS
from tests.store.factories import any_job

CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo", path="demo"),
        "adults": ModelEntry(key="adults", name="For adults", path="demo", nsfw=True),
    },
    {},
    "demo",
)


def caller(*, nsfw: bool) -> ApiKey:
    return cast("ApiKey", SimpleNamespace(nsfw=nsfw))


@pytest.mark.parametrize(("nsfw", "shown"), [(True, "adults"), (False, None)])
def test_models_that_a_caller_may_not_know_of_are_not_named(nsfw: bool, shown: str | None) -> None:
    free = Lane("gpu-0", "cuda:0", loaded=lambda: "demo")
    busy = Lane("gpu-1", "cuda:1", loaded=lambda: "adults")
    busy.running = any_job(id="canaryjob")
    busy.lost = True
    said = lanes((free, busy), CATALOG, caller(nsfw=nsfw))
    assert said == [
        {
            "name": "gpu-0",
            "device": "cuda:0",
            "state": "ready",
            "model": "demo",
            "busy": False,
        },
        {"name": "gpu-1", "device": "cuda:1", "state": "lost", "model": shown, "busy": True},
    ]


def test_a_job_says_where_it_runs_and_what_it_waits_for() -> None:
    say = TEXTS.speaker()

    def told(progress: Progress | None, **fields: Any) -> tuple[object, object]:
        body = status(any_job(**fields), progress, (), say)
        return body["lane"], body["larger_gpu"]

    place = Progress(Stage.QUEUED, position=3, larger_gpu=True)
    assert told(place, state=JobState.PENDING, lane="gpu-0") == (None, True)
    assert told(Progress(Stage.LOADING), state=JobState.RUNNING, lane="gpu-1") == ("gpu-1", False)
