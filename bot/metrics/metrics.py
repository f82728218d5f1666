"""Metrics for Prometheus, without users, servers or prompts; callers over HTTP only if asked."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from bot.progress import Progress, Stage
from bot.queue import Lane
from bot.store import Api, Job

log = logging.getLogger(__name__)

MINUTES: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Histogram bounds in seconds for waiting and generating."""
MOMENTS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
"""Histogram bounds in seconds for the event loop's lag."""


@dataclass(slots=True)
class _Running:
    """What is counted of a job that runs, as several may.

    of: the image and whether it is the second pass, within which steps are counted, and `step` the
    latest. begun_at, begun_with: when it was first reported, and at which step.
    """

    attempt: int
    of: tuple[int, bool] | None = None
    step: int = 0
    begun_at: float = 0.0
    begun_with: int = 0


class Metrics:
    """A JobObserver that keeps the metrics. For use in the event loop only.

    queue_length: pending and running jobs. outbox_length: results and notices not yet delivered to
    Discord. loaded: keys of the models in memory. heartbeats: seconds of a heartbeat's round trip
    to Discord, by shard; None while it is not connected. gpu_memory: bytes by kind, for each lane;
    called in another thread. lanes: all of them. key_name: the name of a key for HTTP by its id, if
    jobs are to be counted by it.
    """

    def __init__(
        self,
        *,
        queue_length: Callable[[], int],
        outbox_length: Callable[[], int],
        loaded: Callable[[], Collection[str]],
        heartbeats: Callable[[], Mapping[int, float | None]],
        gpu_memory: Callable[[], Mapping[str, Mapping[str, int]]],
        lanes: Callable[[], Sequence[Lane]] = tuple,
        key_name: Callable[[str], Awaitable[str | None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loaded = loaded
        self._heartbeats = heartbeats
        self._gpu_memory = gpu_memory
        self._lanes = lanes
        self._key_name = key_name
        # Not the loop's own executor, which it waits for at the end: the driver may hang for ever.
        self._driver = ThreadPoolExecutor(1, thread_name_prefix="gpu-memory")
        self._clock = clock
        self._running: dict[str, _Running] = {}

        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        self._gauge("queue_length", "Jobs waiting or running.").set_function(queue_length)
        self._gauge("outbox_length", "Results and notices on their way to Discord.").set_function(
            outbox_length
        )
        self._latency = Gauge(
            "imagen_gateway_latency_seconds",
            "A heartbeat's round trip to Discord, by shard.",
            ["shard"],
            registry=self._registry,
        )
        self._connected = Gauge(
            "imagen_gateway_connected",
            "1 if the shard is connected to Discord.",
            ["shard"],
            registry=self._registry,
        )
        self._speed = self._gauge("steps_per_second", "Of the current image, or the last one.")
        self._memory = Gauge(
            "imagen_gpu_memory_bytes",
            "Of the GPU: allocated and reserved by the bot, free, and total.",
            ["lane", "kind"],
            registry=self._registry,
        )
        self._lane_info = Gauge(
            "imagen_lane_info",
            "1 for each GPU: its device, its model, and whether it is ready, lost or draining.",
            ["lane", "device", "model", "state"],
            registry=self._registry,
        )
        self._busy = Gauge(
            "imagen_lane_busy",
            "Whether the GPU generates a job.",
            ["lane"],
            registry=self._registry,
        )
        self._waits = self._histogram(
            "job_wait_seconds", "From accepting a job to starting it.", MINUTES
        )
        self._paints = Histogram(
            "imagen_job_paint_seconds",
            "From starting a job to having its files.",
            ["model"],
            buckets=MINUTES,
            registry=self._registry,
        )
        self._lag = self._histogram(
            "event_loop_lag_seconds", "How late the event loop was.", MOMENTS
        )
        self._jobs = self._counter("jobs", "Jobs that ended, by outcome.", "outcome")
        self._by_key = Counter(
            "imagen_api_jobs",
            "Jobs over HTTP that ended, by the name of the key and outcome.",
            ["key", "outcome"],
            registry=self._registry if key_name else None,
        )
        self._failures = self._counter("failures", "Jobs that failed, by reason.", "reason")
        self._steps = self._counter("steps", "Denoising steps.", "model")
        self._switches = Counter(
            "imagen_model_switches",
            "Jobs that needed another model than the one in memory.",
            registry=self._registry,
        )

    # JobObserver

    def moved(self, places: Mapping[str, object]) -> None:
        """Nothing to do: the length of the queue is read when the metrics are."""

    def progressed(self, job: Job, progress: Progress) -> None:
        running = self._running.get(job.id)
        if running is None or running.attempt != job.attempt:
            running = self._running[job.id] = _Running(job.attempt)
            self._started(job)
        if progress.stage is Stage.PAINTING:
            self._stepped(job, running, progress)

    async def finished(self, job: Job) -> None:
        self._running.pop(job.id, None)
        self._paints.labels(job.request.made_with).observe(job.seconds)
        await self._ended(job, "done")

    async def failed(self, job: Job) -> None:
        """Also called for cancelled jobs, and for generated ones that cannot be delivered."""
        self._running.pop(job.id, None)
        if job.error is None:
            await self._ended(job, "cancelled")
            return
        self._failures.labels(job.error.code).inc()
        await self._ended(job, "failed")

    async def _ended(self, job: Job, outcome: str) -> None:
        self._jobs.labels(outcome).inc()
        if self._key_name is not None and isinstance(job.origin, Api):
            key_id = job.origin.key_id
            # Without a row: the caller of a server that has no keys.
            self._by_key.labels(await self._key_name(key_id) or key_id, outcome).inc()

    # Other sources

    def lagged(self, seconds: float) -> None:
        """Record that the event loop was late by `seconds`."""
        self._lag.observe(seconds)

    async def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        try:
            memory = await asyncio.get_running_loop().run_in_executor(
                self._driver, self._gpu_memory
            )
        except Exception as error:
            # The driver fails after a fatal error, which is when the other metrics matter most.
            log.warning("the GPU's memory cannot be read: %s", type(error).__name__)
            memory = {}
        self._latency.clear()
        for shard, seconds in self._heartbeats().items():
            self._connected.labels(shard).set(seconds is not None)
            if seconds is not None:
                self._latency.labels(shard).set(seconds)
        self._memory.clear()
        for lane, sizes in memory.items():
            for kind, size in sizes.items():
                self._memory.labels(lane, kind).set(size)
        self._lane_info.clear()
        self._busy.clear()
        for each in self._lanes():
            model = each.in_place.model or ""
            self._lane_info.labels(each.name, each.device, model, each.state.value).set(1)
            self._busy.labels(each.name).set(each.running is not None)
        return generate_latest(self._registry)

    def _started(self, job: Job) -> None:
        if job.started_at is not None:
            self._waits.observe((job.started_at - job.created_at) / 1000)
        loaded = self._loaded()
        if loaded and job.request.model and job.request.model not in loaded:
            self._switches.inc()

    def _stepped(self, job: Job, running: "_Running", progress: Progress) -> None:
        now, of = self._clock(), (progress.image, progress.larger)
        if of != running.of or progress.step < running.step:
            # The time before the first report includes more than steps.
            running.of, running.begun_at, running.begun_with = of, now, progress.step
            done = progress.step
        else:
            done = progress.step - running.step
        running.step = progress.step
        self._steps.labels(job.request.made_with).inc(done)
        if now > running.begun_at:
            self._speed.set((progress.step - running.begun_with) / (now - running.begun_at))

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"imagen_{name}", what, registry=self._registry)

    def _histogram(self, name: str, what: str, bounds: tuple[float, ...]) -> Histogram:
        return Histogram(f"imagen_{name}", what, buckets=bounds, registry=self._registry)

    def _counter(self, name: str, what: str, label: str) -> Counter:
        return Counter(f"imagen_{name}", what, [label], registry=self._registry)
