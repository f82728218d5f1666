"""Who is next: what holds for any queue (hypothesis)."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.queue.policy import LOOKAHEAD, PATIENCE, InPlace, Line, Next, Waiting
from tests.parameters import examples
from tests.queue.waiting import HERE, asked, drained

MODELS = st.sampled_from(["warm", "x", "y"])
ADAPTERS = st.sampled_from([(), ("a:1",), ("b:1", "a:1")])


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, Waiting]]:
    """Jobs, and how many others are served before each arrives."""
    found = []
    for n in range(draw(st.integers(1, 40))):
        waiting = Waiting(
            str(n),
            f"u{draw(st.integers(1, 8))}",
            n,
            draw(MODELS),
            draw(ADAPTERS),
            priority=draw(st.sampled_from([0, 0, 0, 1, 2])),
        )
        found.append((draw(st.integers(0, 40)), waiting))
    return found


def play(
    coming: list[tuple[int, Waiting]], seconds: float
) -> list[tuple[int, Next, list[Waiting]]]:
    """Serve them all, one every `seconds`: the time, the choice, and who was waiting then."""
    line, here, moment = Line(), InPlace("warm"), 0
    history = []
    # A user's later jobs come later.
    by_person: dict[str, int] = {}
    queue = []
    for at, waiting in coming:
        at = by_person[waiting.person] = max(at, by_person.get(waiting.person, 0))
        queue.append((at, waiting))
    queue.sort(key=lambda pair: (pair[0], pair[1].arrived))
    while queue or len(line):
        while queue and queue[0][0] <= moment:
            line.add(queue.pop(0)[1])
        present = list(line)
        choice = line.choose([here], moment * seconds)
        assert (choice is not None) == bool(present)  # never idle while someone waits
        if choice is not None:
            line.take(choice, moment * seconds)
            here = choice.job.needs
            history.append((moment, choice, present))
        moment += 1
    return history


@given(arrivals(), st.sampled_from([1.0, 30.0, 400.0]))
@settings(deadline=None, max_examples=examples(50))
def test_everybody_is_served_once_and_each_user_in_order(
    coming: list[tuple[int, Waiting]], seconds: float
) -> None:
    order = [choice.job for _, choice, _ in play(coming, seconds)]
    assert sorted(job.id for job in order) == sorted(job.id for _, job in coming)
    for user in {job.person for job in order}:
        arrived = [job.arrived for job in order if job.person == user]
        assert arrived == sorted(arrived)


@given(arrivals(), st.sampled_from([1.0, 30.0, 400.0]))
@settings(deadline=None, max_examples=examples(50))
def test_nobody_is_passed_more_often_or_for_longer_than_the_bound(
    coming: list[tuple[int, Waiting]], seconds: float
) -> None:
    first: dict[str, float] = {}
    times: dict[str, int] = {}
    for moment, choice, _ in play(coming, seconds):
        for job_id in choice.passed:
            now = moment * seconds
            assert now - first.setdefault(job_id, now) < PATIENCE
            times[job_id] = times.get(job_id, 0) + 1
            assert times[job_id] <= LOOKAHEAD


@given(arrivals())
@settings(deadline=None, max_examples=examples(50))
def test_without_anything_to_prefer_nobody_is_served_twice_before_another_once(
    coming: list[tuple[int, Waiting]],
) -> None:
    """While someone waits, no other user is served more than once: round-robin."""
    plain = [(at, replace(job, model="warm", adapters=(), priority=0)) for at, job in coming]
    history = play(plain, 1.0)
    waiting_since: dict[str, int] = {}
    for moment, _, present in history:
        for job in present:
            waiting_since.setdefault(job.id, moment)
    for moment, choice, _ in history:
        chosen = choice.job
        # Since it became its user's oldest job, others had one turn each.
        own = [m for m, c, _ in history if c.job.person == chosen.person and m < moment]
        since = max([waiting_since[chosen.id], *(m + 1 for m in own)])
        others = [c.job.person for m, c, _ in history if since <= m < moment]
        assert len(others) == len(set(others))


@given(st.integers(2, 12), st.integers(1, 40))
@settings(deadline=None, max_examples=30)
def test_nobody_starves_while_others_never_stop_asking(others: int, limit: int) -> None:
    """One cold job without priority; all others are warm, preferred, and request again at once."""
    line = Line([asked("patient", 0, 0)])
    for user in range(1, others + 1):
        line.add(asked(f"{user}-0", user, user, "warm", priority=limit % 3))
    arrived, moment = others, 0
    while True:
        moment += 1
        choice = line.choose([InPlace("warm")], moment * 1.0)
        assert choice is not None
        line.take(choice, moment * 1.0)
        if choice.job.id == "patient":
            break
        arrived += 1
        line.add(replace(choice.job, id=f"n{arrived}", arrived=arrived, passed=0, due_at=None))
        assert moment <= others + LOOKAHEAD + 1


@given(arrivals())
@settings(deadline=None, max_examples=30)
def test_who_goes_ahead_is_near_or_has_priority(coming: list[tuple[int, Waiting]]) -> None:
    line = Line([job for _, job in coming])
    heads = {job.person: job for job in reversed(list(line.rounds()))}
    order = sorted(heads.values(), key=lambda job: job.arrived)
    choice = line.choose([HERE], 0)
    assert choice is not None
    top = max(job.priority for job in order)
    assert choice.job in [job for job in order if job.priority == top][:LOOKAHEAD]


@given(arrivals())
@settings(deadline=None, max_examples=30)
def test_what_is_decided_does_not_depend_on_the_order_of_adding(
    coming: list[tuple[int, Waiting]],
) -> None:
    jobs = [job for _, job in coming]
    backwards = Line()
    for one in reversed(jobs):
        backwards.add(one)
    assert drained(backwards, HERE) == drained(Line(jobs), HERE)


@given(arrivals(), st.integers(0, 40))
@settings(deadline=None, max_examples=examples(60))
def test_the_rounds_are_the_fair_order_of_those_who_have_not_left(
    coming: list[tuple[int, Waiting]], left: int
) -> None:
    jobs = [job for _, job in coming]
    line = Line(jobs)
    number_of: dict[str, int] = {}
    for one in sorted(jobs, key=lambda job: job.arrived):
        number_of[one.id] = sum(o.person == one.person for o in jobs if o.arrived < one.arrived)
    plain = sorted(jobs, key=lambda job: (number_of[job.id], job.arrived))
    assert [*line.rounds()] == plain
    gone = jobs[left % len(jobs)]
    assert line.remove(gone.id) == gone
    assert line.remove(gone.id) is None
    assert len(line) == len([*line]) == len(jobs) - 1
    assert gone not in [*line.rounds()]
