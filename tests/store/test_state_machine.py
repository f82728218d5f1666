"""Any calls in any order: the store and a dictionary agree on every job."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from bot.store import Failure, Job, JobState, Store
from tests.store.factories import new_job, recipe, record

S = JobState
CHANGES: dict[str, tuple[set[JobState], JobState]] = {
    "requeue": ({S.RUNNING}, S.PENDING),
    "finish": ({S.RUNNING}, S.DONE),
    "deliver": ({S.DONE}, S.DELIVERED),
    "fail": ({S.PENDING, S.RUNNING, S.DONE}, S.FAILED),
    "cancel": ({S.PENDING, S.RUNNING}, S.CANCELLED),
}


@dataclass
class Expected:
    state: JobState = S.PENDING
    attempt: int = 0
    images: int = 0


class StoreMachine(RuleBasedStateMachine):
    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, Expected] = {}
        self.open()

    def open(self) -> None:
        self.stack = AsyncExitStack()
        opening = self.stack.enter_async_context(Store.open(Path(self.folder.name) / "x.sqlite3"))
        self.store: Store = self.runner.run(_awaited(opening))

    def close(self) -> None:
        self.runner.run(self.stack.aclose())

    @rule(target=jobs)
    def accept(self) -> str:
        job = self.runner.run(self.store.accept(new_job()))
        self.model[job.id] = Expected()
        return job.id

    @rule(job_id=jobs)
    def start(self, job_id: str) -> None:
        expected = self.model[job_id]
        started = self.runner.run(self.store.start(job_id))
        assert (started is not None) == (expected.state is S.PENDING)
        if started is not None:
            expected.state, expected.attempt = S.RUNNING, expected.attempt + 1

    @rule(job_id=jobs, name=st.sampled_from(sorted(CHANGES)), late=st.integers(-1, 1))
    def change(self, job_id: str, name: str, late: int) -> None:
        """late: how far off the caller's attempt number is."""
        expected = self.model[job_id]
        before = self.runner.run(self.store.job(job_id))
        changed = self.runner.run(self.apply(name, replace(before, attempt=before.attempt + late)))
        allowed, into = CHANGES[name]
        assert (changed is not None) == (expected.state in allowed and late == 0)
        if changed is not None:
            expected.state = into
            expected.images += name == "finish"

    async def apply(self, name: str, job: Job) -> Job | None:
        match name:
            case "requeue":
                return await self.store.requeue(job)
            case "finish":
                return await self.store.finish(job, recipe(), [record()], [])
            case "deliver":
                return await self.store.deliver(job)
            case "fail":
                return await self.store.fail(job, Failure("job.timeout", {"seconds": 1}))
            case _:
                return await self.store.cancel(job)

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()
        self.runner.run(self.store.requeue_all(("discord",)))
        for expected in self.model.values():
            if expected.state is S.RUNNING:
                expected.state = S.PENDING

    @invariant()
    def they_agree(self) -> None:
        for job_id, expected in self.model.items():
            job = self.runner.run(self.store.job(job_id))
            assert (job.state, job.attempt) == (expected.state, expected.attempt)
            images = self.runner.run(self.store.images(job_id))
            assert len(images) == expected.images

    def teardown(self) -> None:
        self.close()
        self.runner.close()
        self.folder.cleanup()


async def _awaited(opening: object) -> Store:
    store = await opening  # type: ignore[misc]
    assert isinstance(store, Store)
    return store


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
