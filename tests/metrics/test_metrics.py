"""Metrics of what happened, as Prometheus reads them."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import Metrics
from bot.progress import Progress, Stage
from bot.queue import Lane
from bot.store import Api, Failure, Job, JobState
from tests.store.factories import REQUEST, any_job

JOB = any_job(
    id="abc", state=JobState.RUNNING, created_at=1_000, started_at=4_500, finished_at=None
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A bot with its public interface only. keys: names by id, where jobs are counted by them."""

    def __init__(self, keys: dict[str, str] | None = None) -> None:
        self.clock = Clock()
        self.length = 0
        self.models: set[str] = set()
        self.lanes: tuple[Lane, ...] = ()
        self.memory: Callable[[], dict[str, dict[str, int]]] = dict

        async def named(key_id: str) -> str | None:
            return (keys or {}).get(key_id)

        self.metrics = Metrics(
            queue_length=lambda: self.length,
            outbox_length=lambda: 3,
            loaded=lambda: self.models,
            heartbeats=lambda: {0: 0.05, 1: None},
            gpu_memory=lambda: self.memory(),
            lanes=lambda: self.lanes,
            key_name=None if keys is None else named,
            clock=self.clock,
        )

    def start(self, job: Job) -> None:
        self.metrics.progressed(job, Progress(Stage.STARTING))

    def step(self, job: Job, number: int, seconds: float = 0.5, **fields: Any) -> None:
        self.clock.now += seconds
        self.metrics.progressed(job, Progress(Stage.PAINTING, step=number, steps=10, **fields))

    async def figures(self) -> dict[str, float]:
        """Every sample by name and labels, as in `imagen_jobs_total{outcome="done"}`."""
        text = (await self.metrics.text()).decode()
        return {
            sample.name
            + ("{" + ",".join(f'{k}="{v}"' for k, v in sample.labels.items()) + "}")
            * bool(sample.labels): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_what_is_asked_for_when_it_is_read(watched: Watched) -> None:
    watched.length = 3
    figures = await watched.figures()
    assert figures["imagen_queue_length"] == 3
    assert [figures[name] for name in figures if "gateway_latency" in name] == [0.05]
    assert figures['imagen_gateway_latency_seconds{shard="0"}'] == 0.05
    assert figures['imagen_gateway_connected{shard="0"}'] == 1
    assert figures['imagen_gateway_connected{shard="1"}'] == 0
    watched.length = 0
    assert (await watched.figures())["imagen_queue_length"] == 0


async def test_how_long_people_wait_is_counted_once_an_attempt(watched: Watched) -> None:
    for _ in range(3):
        watched.start(JOB)
    watched.start(replace(JOB, id="def", started_at=1_000_000))
    watched.start(replace(JOB, id="def", started_at=1_000_000, attempt=2))
    figures = await watched.figures()
    assert figures["imagen_job_wait_seconds_count"] == 3
    assert figures['imagen_job_wait_seconds_bucket{le="2.0"}'] == 0
    assert figures['imagen_job_wait_seconds_bucket{le="5.0"}'] == 1
    assert figures["imagen_job_wait_seconds_sum"] == 3.5 + 2 * 999


async def test_steps_and_their_speed(watched: Watched) -> None:
    watched.start(JOB)
    watched.step(JOB, 1, seconds=30, image=1, count=2)  # a model was loaded before it
    for number in (2, 3, 4):
        watched.step(JOB, number, image=1, count=2)
    figures = await watched.figures()
    assert figures['imagen_steps_total{model="demo"}'] == 4
    assert figures["imagen_steps_per_second"] == 2.0
    watched.step(JOB, 4, image=1, count=2)  # a preview, not a step
    watched.step(JOB, 1, image=2, count=2)
    watched.step(JOB, 5, seconds=1, image=2, count=2)  # the latest report wins
    figures = await watched.figures()
    assert figures['imagen_steps_total{model="demo"}'] == 9
    assert figures["imagen_steps_per_second"] == 4.0


async def test_the_same_job_once_more_begins_at_its_first_step(watched: Watched) -> None:
    for attempt in (1, 2):
        job = replace(JOB, attempt=attempt)
        watched.start(job)
        for number in (1, 2):
            watched.step(job, number)
    assert (await watched.figures())['imagen_steps_total{model="demo"}'] == 4


async def test_jobs_on_several_lanes_are_counted_apart(watched: Watched) -> None:
    jobs = [replace(JOB, id=f"job{n}") for n in range(2)]
    for job in jobs:
        watched.start(job)
    for number in range(1, 11):
        for job in jobs:
            watched.step(job, number)
    for job in jobs:
        await watched.metrics.finished(replace(job, finished_at=9_000))
    figures = await watched.figures()
    assert figures['imagen_steps_total{model="demo"}'] == 20
    assert figures["imagen_job_wait_seconds_count"] == 2
    assert watched.metrics._running == {}


async def test_a_switch_is_a_job_for_another_model(watched: Watched) -> None:
    for loaded, model in ((None, "demo"), ("demo", "demo"), ("demo", "other"), ("other", "demo")):
        watched.models = {loaded} if loaded else set()
        job = replace(JOB, id=f"{loaded}-{model}", request=replace(REQUEST, model=model))
        watched.start(job)
        watched.step(job, 1)
    assert (await watched.figures())["imagen_model_switches_total"] == 2


async def test_how_jobs_end(watched: Watched) -> None:
    done = replace(JOB, state=JobState.DONE, finished_at=16_500)
    failed = replace(JOB, state=JobState.FAILED, error=Failure("memory.out", {"width": 1}))
    await watched.metrics.finished(done)
    for job in (failed, failed, replace(failed, error=Failure("job.timeout", {}))):
        await watched.metrics.failed(job)
    await watched.metrics.failed(replace(JOB, state=JobState.CANCELLED))
    figures = await watched.figures()
    outcomes = {o: figures[f'imagen_jobs_total{{outcome="{o}"}}'] for o in OUTCOMES}
    assert outcomes == {"done": 1, "failed": 3, "cancelled": 1}
    assert figures['imagen_failures_total{reason="memory.out"}'] == 2
    assert figures['imagen_failures_total{reason="job.timeout"}'] == 1
    assert figures['imagen_job_paint_seconds_sum{model="demo"}'] == 12


OUTCOMES = ("done", "failed", "cancelled")


async def test_callers_over_http_are_counted_by_name_only_if_asked() -> None:
    jobs = [any_job(origin=Api(key_id=key_id)) for key_id in ("id1", "id1", "local")]
    for keys in (None, {"id1": "ada"}):
        watched = Watched(keys)
        for job in (*jobs, any_job()):
            await watched.metrics.finished(replace(job, finished_at=9_000, started_at=1_000))
        await watched.metrics.failed(replace(jobs[0], state=JobState.CANCELLED))
        counted = {
            name: count
            for name, count in (await watched.figures()).items()
            if name.startswith("imagen_api_jobs_total")
        }
        expected = {
            'imagen_api_jobs_total{key="ada",outcome="done"}': 2,
            'imagen_api_jobs_total{key="local",outcome="done"}': 1,
            'imagen_api_jobs_total{key="ada",outcome="cancelled"}': 1,
        }
        assert counted == (expected if keys else {})


async def test_the_memory_of_a_gpu_where_there_is_one(watched: Watched) -> None:
    assert not [name for name in await watched.figures() if "gpu" in name]
    watched.memory = lambda: {"gpu-1": {"allocated": 5, "free": 7}}
    figures = await watched.figures()
    assert figures['imagen_gpu_memory_bytes{kind="allocated",lane="gpu-1"}'] == 5
    assert figures['imagen_gpu_memory_bytes{kind="free",lane="gpu-1"}'] == 7

    def lost() -> dict[str, dict[str, int]]:
        raise RuntimeError("CUDA error: unspecified launch failure")

    watched.memory = lost
    figures = await watched.figures()
    assert not [name for name in figures if "gpu" in name]
    assert "imagen_queue_length" in figures


async def test_what_each_lane_does(watched: Watched) -> None:
    free, busy = Lane("gpu-0", "cuda:0", loaded=lambda: "demo"), Lane("gpu-1", "cuda:1")
    busy.running = any_job()
    busy.draining = True
    watched.lanes = (free, busy)
    figures = await watched.figures()
    ready = 'imagen_lane_info{device="cuda:0",lane="gpu-0",model="demo",state="ready"}'
    draining = 'imagen_lane_info{device="cuda:1",lane="gpu-1",model="",state="draining"}'
    assert figures[ready] == figures[draining] == 1
    assert figures['imagen_lane_busy{lane="gpu-0"}'] == 0
    assert figures['imagen_lane_busy{lane="gpu-1"}'] == 1
    watched.lanes = (free,)
    assert not [name for name in await watched.figures() if "gpu-1" in name]


async def test_how_late_the_loop_was(watched: Watched) -> None:
    for seconds in (0.0, 0.003, 0.3):
        watched.metrics.lagged(seconds)
    figures = await watched.figures()
    assert figures["imagen_event_loop_lag_seconds_count"] == 3
    assert figures['imagen_event_loop_lag_seconds_bucket{le="0.05"}'] == 2


async def test_nobody_is_named(watched: Watched) -> None:
    job = any_job(id="canaryjob", user_id=987_654_321, guild_id=123_456_789, started_at=2)
    watched.start(job)
    watched.step(job, 1)
    await watched.metrics.finished(replace(job, finished_at=5_000))
    text = (await watched.metrics.text()).decode()
    for canary in (REQUEST.prompt, job.id, "987654321", "123456789"):
        assert canary not in text


def test_a_driver_that_never_answers_does_not_keep_the_loop_from_its_end() -> None:
    entered, released = threading.Event(), threading.Event()

    def gpu_memory() -> dict[str, dict[str, int]]:
        entered.set()
        released.wait()
        return {}

    metrics = Metrics(
        queue_length=lambda: 0,
        outbox_length=lambda: 0,
        loaded=lambda: (),
        heartbeats=dict,
        gpu_memory=gpu_memory,
    )

    async def asked() -> None:
        asking = asyncio.create_task(metrics.text())
        await asyncio.to_thread(entered.wait)
        asking.cancel()

    loop = threading.Thread(target=asyncio.run, args=(asked(),), daemon=True)
    loop.start()
    loop.join(timeout=30)
    stuck = loop.is_alive()
    released.set()
    assert not stuck
