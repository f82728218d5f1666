"""Messages to Discord: within its limits whatever a job contains, and right in the usual case."""

from dataclasses import replace
from typing import Any

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.ui.messages import (
    failure_embed,
    sentences,
    status_embed,
)
from bot.progress import Notice, Progress, Stage
from bot.request import (
    AdapterUse,
    ControlUse,
    GenerationRequest,
    Hires,
    InitImage,
    Mix,
    Reference,
    Variation,
)
from bot.store import Failure, Job
from bot.texts.lines import bar, compared_line, status_line
from catalog import CONTROL_TYPES, SCHEDULERS, Catalog
from tests.language import TEXTS
from tests.parameters import examples
from tests.request.test_compare import compared
from tests.store.factories import any_job, request

SAY = TEXTS.speaker()
NOTHING = Catalog({}, {}, "")
NASTY = st.text(alphabet="*_`~|<>@[](){}\\#-\n\u200b🦊é x", max_size=30)
LONG = st.builds(lambda text, times: (text or "x") * times, NASTY, st.integers(1, 400))
KEYS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True)
SEEDS = st.integers(0, 2**32 - 1)
MIX = st.builds(Mix, SEEDS, st.floats(0, 1))
REQUESTS = st.builds(
    GenerationRequest,
    prompt=LONG.map(lambda text: text[:2000]).filter(str.strip),
    negative=LONG.map(lambda text: text[:2000].strip()),
    model=KEYS,
    adapters=st.lists(
        st.builds(AdapterUse, KEYS, st.floats(-5, 5), st.none() | st.floats(-5, 5)), max_size=9
    ).map(tuple),
    trigger_words=st.just(()),
    steps=st.integers(1, 1000),
    guidance=st.floats(0, 100),
    seed=st.integers(0, 2**32 - 1),
    width=st.just(4096),
    height=st.just(4096),
    count=st.integers(1, 4),
    scheduler=st.sampled_from(SCHEDULERS),
    preset=st.sampled_from([None, "draft", "fast"]),
    hires=st.none() | st.builds(Hires, st.sampled_from([1.25, 1.5, 2.0]), st.just(0.4), st.just(9)),
    init_image=st.none() | st.builds(InitImage, st.just("a" * 64), st.floats(0.05, 1)),
    reference=st.none() | st.builds(Reference, st.just("b" * 64), st.floats(0, 1.5)),
    controls=st.lists(
        st.builds(
            ControlUse,
            KEYS,
            st.just("c" * 64),
            st.sampled_from([*CONTROL_TYPES]),
            st.floats(0, 2),
            st.floats(0, 0.5),
            st.floats(0.5, 1),
            st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    variation=st.none() | st.builds(Variation, SEEDS, st.floats(0, 1), st.tuples(*[MIX] * 7)),
)


def job(asked: GenerationRequest | None = None, **fields: Any) -> Job:
    where = {"user_id": 2**63 - 1, "guild_id": 1, "channel_id": 2, "message_id": 3}
    return any_job(asked or request(), **{**where, "upload_limit": 10, **fields})


def check_limits(embed: discord.Embed) -> None:
    """As Discord checks an embed (docs, resources/message, "Embed Limits")."""
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4096
    assert len(embed.footer.text or "") <= 2048
    assert len(embed.fields) <= 25
    for one in embed.fields:
        assert 1 <= len((one.name or "").strip()) <= len(one.name or "") <= 256
        assert 1 <= len((one.value or "").strip()) <= len(one.value or "") <= 1024
    assert len(embed) <= 6000


def fields(embed: discord.Embed) -> dict[str, str]:
    return {str(one.name): str(one.value) for one in embed.fields}


class TestLimits:
    def test_the_longest_ones(self) -> None:
        """Every character needs a backslash."""
        asked = request(
            prompt="*" * 2000,
            negative="_" * 2000,
            model="m" * 48,
            adapters=tuple(AdapterUse(f"{'k' * 47}{n}", -1.2345678, -2.3456789) for n in range(9)),
            count=4,
            scheduler=max(SCHEDULERS, key=len),
            preset="draft",
            hires=Hires(1.25, 0.4, 100),
            init_image=InitImage("a" * 64, 0.123456789),
            reference=Reference("b" * 64, 0.123456789),
        )
        check_limits(status_embed(SAY, job(asked), Progress(Stage.QUEUED, position=9)))
        check_limits(failure_embed(SAY, job(asked)))

    @settings(max_examples=examples(60))
    @given(
        asked=REQUESTS,
        stage=st.sampled_from(Stage),
        subject=KEYS,
        numbers=st.integers(0, 10_000),
        fraction=st.floats(-1, 2),
    )
    def test_a_status(
        self, asked: GenerationRequest, stage: Stage, subject: str, numbers: int, fraction: float
    ) -> None:
        progress = Progress(
            stage, subject, numbers, fraction, numbers, numbers, asked.count, asked.count
        )
        check_limits(status_embed(SAY, job(asked), progress))

    @settings(max_examples=examples(60))
    @given(asked=REQUESTS, reason=LONG.map(lambda text: text * 3))
    def test_a_failure(self, asked: GenerationRequest, reason: str) -> None:
        """A module's name comes from a LoRA file and may be anything."""
        failure = Failure("adapter.broken", {"adapter": "ink", "module": reason})
        check_limits(failure_embed(SAY, job(asked, error=failure)))


class TestWords:
    @pytest.mark.parametrize(
        ("progress", "line"),
        [
            (Progress(Stage.QUEUED, position=1), "Up next"),
            (Progress(Stage.QUEUED, position=0), "Up next"),
            (Progress(Stage.QUEUED, position=2), "Queued, **#2** in line"),
            (Progress(Stage.STARTING), "Starting"),
            (Progress(Stage.LOADING, subject="demo"), "Loading demo"),
            (
                Progress(Stage.DOWNLOADING, subject="demo", fraction=0.436),
                "Downloading demo: 43% " + bar(0.436),
            ),
            (
                Progress(Stage.SENDING, fraction=0.436),
                "Sending the input images: 43% " + bar(0.436),
            ),
            (Progress(Stage.RECEIVING, fraction=0.5), "Receiving the result: 50% " + bar(0.5)),
            (Progress(Stage.PAINTING, step=12, steps=30), "Step 12/30 " + bar(0.4)),
            (
                Progress(Stage.PAINTING, step=3, steps=12, larger=True, image=2, count=2),
                f"Step 3/12 {bar(0.25)} · second pass · Image 2 of 2",
            ),
            (
                Progress(Stage.PAINTING, step=1, steps=2, image=2, count=3),
                "Step 1/2 " + bar(0.5) + " · Image 2 of 3",
            ),
            (Progress(Stage.DECODING, image=1, count=2), "Decoding the image · Image 1 of 2"),
            (Progress(Stage.SAVING), "Saving"),
        ],
    )
    def test_where_a_job_is(self, progress: Progress, line: str) -> None:
        assert status_line(SAY, progress) == line

    def test_every_stage_has_words(self) -> None:
        assert all(status_line(SAY, Progress(stage)) for stage in Stage)

    @given(fraction=st.floats(allow_nan=False), cells=st.integers(1, 40))
    def test_a_bar_is_as_long_as_it_should_be(self, fraction: float, cells: int) -> None:
        assert len(bar(fraction, cells)) == cells
        assert bar(0, cells) == "▱" * cells
        assert bar(1, cells) == "▰" * cells

    def test_a_place_says_when_it_will_be_ready(self) -> None:
        place = Progress(Stage.QUEUED, position=3, ready_at=1_700_000_000)
        embed = status_embed(SAY, job(), place)
        assert embed.fields[0].name == "Queued, **#3** in line"
        assert str(embed.fields[0].value).startswith("Ready <t:1700000000:R>\n")
        # A change of the time alone needs no edit, since it counts down by itself.
        assert status_line(SAY, place) == status_line(SAY, replace(place, ready_at=1_800_000_000))

    def test_a_pause_is_said(self) -> None:
        for position in (1, 4):
            place = Progress(Stage.QUEUED, position=position, paused=True)
            assert status_line(SAY, place) == f"Paused by the bot's owner, **#{position}** in line"

    def test_a_failure_says_why_and_what_was_asked(self) -> None:
        embed = failure_embed(SAY, job(error=Failure("job.timeout", {"seconds": 600})))
        assert "600 seconds" in (embed.description or "")
        assert fields(embed) == {"demo · 64×48 · Seed 42 · ink:0.6": request().prompt}
        assert failure_embed(SAY, job()).title == "Cancelled"

    def test_a_failure_has_the_prompt_below_its_facts_and_cuts_it_as_a_result_does(self) -> None:
        """Beside them, Discord would give it a third of the width."""
        asked = request(prompt="a red star " * 100)
        for error in (None, Failure("job.timeout", {"seconds": 600})):
            [field] = failure_embed(SAY, job(asked, error=error)).fields
            assert not field.inline
            assert str(field.value).endswith(" a …")
            assert len(str(field.value)) <= 282

    def test_warnings_are_sentences(self) -> None:
        [said] = sentences(
            SAY, [Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})]
        )
        assert "5 of its 9 modules" in said


def test_what_varies_in_a_comparison_is_said_in_one_line() -> None:
    sheet = compared("a fox", ("weight", "0, 1"), ("steps", "10, 20"), lora="ink").comparison
    assert sheet is not None
    assert compared_line(SAY, sheet) == "weight (ink) 0, 1 × steps 10, 20"
    german = TEXTS.speaker("de")
    assert compared_line(german, sheet) == "LoRA-Gewicht (ink) 0, 1 × Schritte 10, 20"
