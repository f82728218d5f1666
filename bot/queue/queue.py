"""JobQueue: the pending jobs in memory, each of which the store holds too."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from bot.errors import AnsweredElsewhere, StoreError
from bot.levels import Admit, Place, Rules, admitted_as_it_is
from bot.queue.admission import Admission
from bot.queue.blocked import Blocked
from bot.queue.dispatcher import Dispatcher
from bot.queue.entering import as_waiting
from bot.queue.estimate import Guided, guided_above_one
from bot.queue.lanes import Lane, saving_on
from bot.queue.limits import Limits
from bot.queue.outlook import PART, Ticket
from bot.queue.policy import Next, Waiting
from bot.queue.standing import Standing
from bot.queue.stillness import Stillness
from bot.store import Job, NewJob, Store
from bot.store.retrying import keep_trying

log = logging.getLogger(__name__)

HELD = 3.0
"""Seconds after which an accepted job is released even if its person could not be told yet."""
SLOW = 1.5
"""Seconds after which accepting a job counts as slow: half of what Discord allows for an answer."""


class JobQueue(Standing):
    """The pending jobs in the order of bot.queue.policy, kept in step with the store.

    A job is accepted first, and released once its person was told, or `held` seconds later: where
    many ask at once, the lanes do not wait for Discord to take all the acknowledgements.

    lanes: where jobs run. limits: None for no limits; all jobs in this queue count towards them.
    admit: checks each job before it is stored, see bot.levels.enforcing. clock: returns seconds
    since the epoch. accepted: called with each job once it is stored.
    """

    def __init__(
        self,
        store: Store,
        lanes: Sequence[Lane],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        held: float = HELD,
        admit: Admit = admitted_as_it_is,
        accepted: Callable[[Job], None] | None = None,
        guided: Guided = guided_above_one,
    ) -> None:
        still = Stillness(store, clock, self._changed)
        super().__init__(lanes, self._changed, clock, still, guided)
        self.blocked = Blocked(self._moved)
        self._store = store
        self._admission = Admission(store, limits, clock, self.blocked, accepted)
        self._admit = admit
        self._held_for = held
        self._arrivals = 0
        self._places: dict[str, int] = {}  # when those that run arrived
        self._dispatcher = Dispatcher(self._choose)
        self._newcomers: asyncio.Queue[str] = asyncio.Queue()
        self._stop: Callable[[str], None] = lambda _: None

    def stop_with(self, stop: Callable[[str], None]) -> None:
        """Call `stop` with the id of a running job that is to end at its next step."""
        self._stop = stop

    # Entering

    def check_not_blocked(self, person: str, community: str | None = None) -> None:
        """Raise Refused if `person` is blocked there."""
        self._admission.check_not_blocked(person, community)

    def check_person(
        self, person: str, roles: frozenset[int], community: str | None = None
    ) -> None:
        """Raise Refused if `person`, with these roles there, may never request anything."""
        self._admission.check_person(person, roles, community)

    def screen(self, person: str, roles: frozenset[int], community: str | None = None) -> None:
        """Raise Refused if `person` may not request anything now, as far as that is known without
        waiting: blocked, without a role, or too soon. For asking before any work is done."""
        self._admission.screen(person, roles, community)

    async def images_left(self, place: Place, rules: Rules) -> int | None:
        """How many images the quotas still allow this person there; None if there are none."""
        return await self._admission.images_left(place.person, place.community, rules)

    async def start_over(self, person: str, community: str | None, *, actor: str) -> bool:
        """What `person` has asked for so far no longer counts towards quotas and cooldowns of that
        server and its channels, or any if it is None. Returns False if nothing did."""
        return await self._admission.start_over(person, community, actor)

    @asynccontextmanager
    async def reserving(self, new: NewJob) -> AsyncIterator[None]:
        """Keep a place for `new` while the block lasts, unless it is accepted in it.

        The place counts towards all limits, so nothing expensive is done for a job that would be
        refused afterwards. Raises as `accept`.
        """
        admitted = await self._admit(new)
        async with self._admission.reserving(admitted.new, admitted.rules):
            yield

    async def accept(
        self, new: NewJob, slow: Callable[[], Awaitable[None]] | None = None
    ) -> Ticket:
        """Store `new` as pending, as bot.levels.enforcing admits it.

        Raises Refused when a limit is reached (see bot.queue.limits), and UserError if it may not
        be asked for there. slow: called once if that takes longer than SLOW seconds; it must not
        raise.
        """
        accepting = asyncio.ensure_future(self._accept(new))
        try:
            if slow is not None:
                await asyncio.wait({accepting}, timeout=SLOW)
                if not accepting.done():
                    await slow()
            return await asyncio.shield(accepting)
        except asyncio.CancelledError:
            # It may be stored all the same, and no one would ever release it.
            await asyncio.shield(self._take_back(accepting))
            raise

    async def _take_back(self, accepting: asyncio.Future[Ticket]) -> None:
        try:
            ticket = await accepting
        except Exception as error:
            log.info("a job whose asker has gone was not accepted: %s", type(error).__name__)
            return
        await self.abandon(ticket)

    async def _accept(self, new: NewJob) -> Ticket:
        admitted = await self._admit(new)
        new, rules = admitted.new, admitted.rules
        async with self._admission.reserving(new, rules):
            # Reads that may fail come first: once the job is stored, it must enter the queue.
            served, person = {}, new.origin.person
            if not self._line.knows(person):
                served = await self._store.last_served([person])
            new = replace(new, priority=self._admission.priority(new, rules))
            recheck = self._admission.recheck(new, rules)
            job = await self._store.accept(new, recheck, admitted.acts)
            self._line.serve_all(served)
            self._admission.accepted(job)
            self._arrivals += 1
            self._held[job.id] = waiting = self._waiting(job, self._arrivals)
            return await self._ticket(job, waiting)

    @asynccontextmanager
    async def accepting(
        self, new: NewJob, slow: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Ticket]:
        """Accept `new`, and release it once the block, which tells its person, has ended.

        A block that takes longer goes on after the release. If it raises, the person cannot be
        told, and the job is cancelled unless it has started; AnsweredElsewhere also ends one that
        has started, without a word. slow, and what is raised: as `accept`.
        """
        ticket = await self.accept(new, slow)
        job_id = ticket.job.id
        releasing = asyncio.get_running_loop().call_later(self._held_for, self.release, job_id)
        try:
            yield ticket
        except AnsweredElsewhere:
            await asyncio.shield(self._disown(job_id))
            raise
        except BaseException:
            await asyncio.shield(self.abandon(ticket))
            raise
        finally:
            releasing.cancel()
        self.release(job_id)

    def release(self, job_id: str) -> None:
        """Make an accepted job available to the lanes; nothing happens if it already is."""
        if (waiting := self._held.pop(job_id, None)) is None:
            return
        self._line.add(waiting)
        self._newcomers.put_nowait(job_id)
        self._changed()

    async def abandon(self, ticket: Ticket) -> None:
        """Cancel an accepted job that has not started, because its person cannot be told.

        If the store cannot record that, the job is released instead, so that it is not stuck.
        """
        try:
            cancelled = await self._store.cancel(ticket.job)
        except StoreError as error:
            log.error("job %s: cannot be cancelled, so it will run: %s", ticket.job.id, error)
            self.release(ticket.job.id)
            return
        if cancelled is None:
            self._held.pop(ticket.job.id, None)
            return  # It has started or ended by now, and its lane makes it leave.
        self.leave(ticket.job.id)
        await self._store.tell(cancelled)

    async def _disown(self, job_id: str) -> None:
        """End an accepted job, whatever has become of it, without a word."""
        try:
            await self._store.disown(job_id)
        except StoreError as error:
            log.error("job %s: cannot be recorded as answered elsewhere: %s", job_id, error)
        if any(job.id == job_id for job in self.running):
            self._stop(job_id)
        else:
            self.leave(job_id)

    async def newcomer(self) -> Job | None:
        """Wait for the next job that is released; None if it is no longer pending by then."""
        job_id = await self._newcomers.get()
        running = any(job.id == job_id for job in self.running)
        return None if running else self._forecast.jobs.get(job_id)

    async def restore(self, origins: tuple[str, ...]) -> None:
        """At start-up: load whether it stands still, and learn from past jobs of `origins`."""
        await self.still.restore()
        self._forecast.remember(await self._store.painted(origins))

    async def line_up(self, jobs: Sequence[Job]) -> None:
        """Add and release pending jobs that an earlier process accepted, in this order."""
        self._line.serve_all(await self._store.last_served({job.person for job in jobs}))
        before = self._arrivals
        self._arrivals += len(jobs)
        with self._dispatcher.held():  # none starts before all are there
            for number, job in enumerate(jobs, 1):
                self._held[job.id] = self._waiting(job, before + number)
                self.release(job.id)
                if number % PART == 0:
                    await asyncio.sleep(0)

    # Leaving

    async def next(self, lane: Lane) -> Job:
        """Wait for the next job for `lane` and start it; it is *running* when this returns."""
        while True:
            with self._dispatcher.offered(lane) as given:
                choice = await given
                if (job := await self._start(choice, lane)) is not None:
                    return job
            self.leave(choice.job.id)

    def _choose(self, free: Sequence[Lane]) -> Next | None:
        if self.still.now:
            return None
        choice = self.decide(self._line, free, self._clock())
        if self._line.put_off:
            self._dispatcher.look_again()
        return choice

    async def _start(self, choice: Next, lane: Lane) -> Job | None:
        """Start the chosen job on `lane`; None if it is no longer pending."""
        now, here = self._clock(), lane.in_place
        job_id, passed, beside = choice.job.id, choice.passed, saving_on(self.lanes)
        start = self._store.start(job_id, passed, beside, lane.name, isolated=lane.isolated)
        starting = asyncio.ensure_future(start)
        try:
            job = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Its consumer is gone, so it must wait again.
            await asyncio.shield(self._start_no_more(starting, lane))
            raise
        if job is not None:
            self._line.take(choice, now)
            self._forecast.begin(job, here, now, lane.name)
            lane.last = here.then(choice.job.needs)
            lane.running = job
            self._places[job.id] = choice.job.arrived
        return job

    async def _start_no_more(self, starting: asyncio.Future[Job | None], lane: Lane) -> None:
        try:
            if (job := await starting) is not None:
                back, what = partial(self._store.requeue, job), f"job {job.id}: not yet put back"
                await (keep_trying(back, what) if lane.leaving else back())
        except StoreError as error:
            # The bot stops. The next start finds it running, and takes it up.
            log.error("a job that was being started cannot be put back: %s", error)

    def painted(self, job: Job) -> None:
        """Learn from a job that is done how long it took."""
        self._forecast.learn(job)

    def leave(self, job_id: str) -> None:
        """Remove a job that has ended; those behind it move up."""
        for lane in self.lanes:
            lane.leave(job_id)
        self._held.pop(job_id, None)
        self._line.remove(job_id)
        self._forecast.forget(job_id)
        self._places.pop(job_id, None)
        self._admission.leave(job_id)
        self._lookout.drop(job_id)
        self._changed()  # a suspect waits until no other job is there

    def put_back(self, job: Job, avoiding: Lane | None = None) -> None:
        """A job that ran is *pending* again, and waits. avoiding: the lane that it was lost on; it
        goes to another, if one is ready that can run it. Nothing happens if it has left meanwhile.
        """
        if job.id not in self:
            return
        arrived = self._places.get(job.id, 0)
        self.leave(job.id)
        self._line.add(self._waiting(job, arrived, avoiding))
        self._changed()

    def look_again(self) -> None:
        """Lanes may be able to run other jobs than before."""
        self._dispatcher.look_again()

    def _changed(self) -> None:
        self._dispatcher.look_again()
        self._moved()

    def _waiting(self, job: Job, arrived: int, avoiding: Lane | None = None) -> Waiting:
        self._admission.enter(job)
        needs = self._forecast.expect(job)
        avoids = "" if avoiding is None else avoiding.name
        return as_waiting(job, arrived, needs, self._clock(), avoids=avoids)
