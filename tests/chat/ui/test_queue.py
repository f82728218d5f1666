"""The queue as users see it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bot.chat.ui.lanes import LaneView
from bot.chat.ui.queue import LISTED, job_choices, queue_embed
from bot.progress import Progress, Stage
from bot.queue import Ticket
from bot.store import CommandLine, Discord, Job
from tests.chat.ui.test_messages import check_limits, job
from tests.language import TEXTS
from tests.store.factories import request

SAY = TEXTS.speaker()


def ticket(position: int, user: int = 1, guild: int = 1, **fields: Any) -> Ticket:
    prompt = fields.pop("prompt", f"secret of {user}")
    asked = request(prompt=prompt, **fields)
    found = job(asked, id=f"job{position}", user_id=user, guild_id=guild)
    return Ticket(found, Progress(Stage.QUEUED, position=position, ready_at=1_000 + position))


def in_guild(number: int) -> Callable[[Discord], bool]:
    return lambda origin: origin.guild_id == number


def nothing(_: object) -> bool:
    return False


def shown(
    *line: Ticket,
    paused: bool = False,
    running: str = "job1",
    user: int = 1,
    gated: Callable[[Job], bool] = nothing,
    withheld: Callable[[Job], bool] = nothing,
    lanes: Sequence[LaneView] = (),
) -> str:
    embed = queue_embed(
        SAY,
        line,
        running={running},
        user_id=user,
        sees=in_guild(1),
        gated=gated,
        withheld=withheld,
        paused=paused,
        lanes=lanes,
    )
    check_limits(embed)
    return "\n".join([embed.description or "", *(str(field.value) for field in embed.fields)])


def test_who_is_painted_who_waits_and_when() -> None:
    text = shown(ticket(1, user=2), ticket(2, user=3, count=2), user=9)
    first, second = text.splitlines()
    assert first == "▶️ <@2> · demo · 64×48 · ready <t:1001:R>"
    assert second == "**#2** <@3> · demo · 64×48 ×2 · ready <t:1002:R>"


def test_nobody_reads_another_ones_prompt() -> None:
    text = shown(ticket(1, user=2), ticket(2, user=3), ticket(3, user=1), user=1)
    assert "secret of 1" in text
    assert not re.search("secret of [23]", text)


def test_people_who_asked_where_one_cannot_see_are_not_named() -> None:
    text = shown(ticket(1, user=2, guild=1), ticket(2, user=3, guild=2), user=9)
    assert "<@2>" in text
    assert "<@3>" not in text
    assert "**#2** someone elsewhere" in text
    assert "<@3>" in shown(ticket(2, user=3, guild=2), user=3)  # oneself


def test_a_model_that_may_not_be_named_here_is_not() -> None:
    line = ticket(1, user=2, model="adults"), ticket(2, user=1)
    text = shown(*line, gated=lambda job: job.request.model == "adults")
    assert "adults" not in text
    assert "▶️ <@2> · an age-restricted model · 64×48" in text
    [_, other] = job_choices(
        "",
        SAY,
        line,
        user_id=1,
        moderates=in_guild(1),
        gated=lambda job: job.request.model == "adults",
        withheld=nothing,
    )
    assert other.name == "#1 · an age-restricted model, from someone else"


def test_nor_is_one_that_may_not_be_used_here() -> None:
    def withheld(job: Job) -> bool:
        return job.request.model == "elsewhere"

    line = ticket(1, user=2, model="elsewhere"), ticket(2, user=1, model="elsewhere")
    text = shown(*line, withheld=withheld)
    assert "▶️ <@2> · another model · 64×48" in text
    assert "secret of 1" in text, "one's own prompt is no name of it"
    choices = job_choices(
        "", SAY, line, user_id=1, moderates=in_guild(1), gated=nothing, withheld=withheld
    )
    assert [each.name for each in choices] == [
        "#2 · secret of 1",
        "#1 · another model, from someone else",
    ]
    # Of two reasons, the age restriction is said, as without the other.
    assert "an age-restricted model" in shown(*line, gated=withheld, withheld=withheld)


def test_what_a_dead_command_line_left_is_said_so() -> None:
    left = ticket(1)
    line = Ticket(replace(left.job, origin=CommandLine(), person="cli"), left.place)
    assert shown(line, user=9).startswith("▶️ the command line · demo")


def test_an_empty_line_and_a_pause_are_said() -> None:
    assert shown() == "The queue is empty. Yours would be next."
    assert "Paused by the bot's owner" in shown(ticket(1), paused=True, running="")


def test_the_longest_line_fits() -> None:
    line = [ticket(n, user=2**63 - 1, prompt="*" * 2_000, model="m" * 100) for n in range(1, 60)]
    text = shown(*line, user=2**63 - 1)
    assert f"and {59 - LISTED} more" in text
    assert "and 54 more" in text


def test_ones_own_jobs_can_be_chosen_and_moderators_choose_any_that_they_moderate() -> None:
    line = [
        ticket(1, user=2, prompt="a fox"),
        ticket(2, user=1, prompt="an owl\nby night " + "x" * 200),
        ticket(3, user=3, guild=2),
    ]
    own = job_choices("", SAY, line, user_id=1, moderates=nothing, gated=nothing, withheld=nothing)
    assert [choice.value for choice in own] == ["job2"]
    assert own[0].name.startswith("#2 · an owl by night")
    assert len(own[0].name) == 100
    both = job_choices(
        "", SAY, line, user_id=1, moderates=in_guild(1), gated=nothing, withheld=nothing
    )
    assert [choice.value for choice in both] == ["job2", "job1"]
    assert "fox" not in both[1].name
    owls = job_choices(
        "OWL", SAY, line, user_id=1, moderates=in_guild(1), gated=nothing, withheld=nothing
    )
    assert [choice.value for choice in owls] == ["job2"]
    many = [ticket(n, user=1) for n in range(1, 60)]
    assert (
        len(
            job_choices(
                "", SAY, many, user_id=1, moderates=nothing, gated=nothing, withheld=nothing
            )
        )
        == 25
    )


def test_choosing_a_job_costs_no_more_than_it_must() -> None:
    said: list[str] = []
    asked: list[object] = []

    def counting(code: str, /, **params: object) -> str:
        said.append(code)
        return SAY(code, **params)

    def moderates(origin: Discord) -> bool:
        asked.append(origin.guild_id)
        return origin.guild_id == 1

    line = [ticket(n, user=9, guild=1 + n % 2, model="ab"[n % 4 // 2]) for n in range(1, 400)]
    found = job_choices(
        "", counting, line, user_id=1, moderates=moderates, gated=nothing, withheld=nothing
    )
    assert [choice.name for choice in found[:2]] == [
        "#2 · b, from someone else",
        "#4 · a, from someone else",
    ]
    assert len(found) == 25
    assert asked == [2, 1]
    assert said == ["cancel.other"] * 2
    mine = [ticket(n, user=1) for n in range(1, 400)]
    said.clear()
    job_choices("", counting, mine, user_id=1, moderates=moderates, gated=nothing, withheld=nothing)
    assert said == ["cancel.choice"] * 25
