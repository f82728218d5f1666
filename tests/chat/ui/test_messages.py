"""Messages to Discord: within its limits whatever a job contains, and right in the usual case."""

import re
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
from bot.chat.ui.pages import PER_PAGE, cut, loras_page, models_page
from bot.progress import Notice, Progress, Stage
from bot.request import AdapterUse, GenerationRequest, Hires, InitImage, Reference
from bot.store import Failure, Job
from bot.texts.language import Texts
from bot.texts.lines import bar, compared_line, status_line
from catalog import SCHEDULERS, AdapterEntry, AdapterFacts, Catalog, ModelEntry
from tests.chat.ui.test_markdown import live
from tests.request.test_compare import compared
from tests.store.factories import any_job, request

SAY = Texts.read().speaker()
NOTHING = Catalog({}, {}, "")
NASTY = st.text(alphabet="*_`~|<>@[](){}\\#-\n\u200b🦊é x", max_size=30)
LONG = st.builds(lambda text, times: (text or "x") * times, NASTY, st.integers(1, 400))
KEYS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True)
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

    @settings(max_examples=60)
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

    @settings(max_examples=60)
    @given(asked=REQUESTS, reason=LONG.map(lambda text: text * 3))
    def test_a_failure(self, asked: GenerationRequest, reason: str) -> None:
        """A module's name comes from a LoRA file and may be anything."""
        failure = Failure("adapter.broken", {"adapter": "ink", "module": reason})
        check_limits(failure_embed(SAY, job(asked, error=failure)))

    @settings(max_examples=40)
    @given(
        names=st.lists(
            st.text(alphabet="*_`~|>@x", min_size=1, max_size=80), min_size=1, max_size=9
        ),
        description=LONG.map(lambda text: text[:1000]),
        words=st.lists(st.text(alphabet="ab `*", min_size=1, max_size=100).map(str.strip)),
        page=st.integers(-5, 10),
    )
    def test_pages(self, names: list[str], description: str, words: list[str], page: int) -> None:
        keys = [f"{'k' * 40}{n}" for n in range(len(names))]
        models = [
            ModelEntry(key=key, name=name, path="a/b", description=description)
            for key, name in zip(keys, names, strict=True)
        ]
        adapters = [
            AdapterEntry(
                key=key,
                name=name,
                path="a/b",
                description=description,
                trigger_words=tuple(word for word in words if word)[:50],
            )
            for key, name in zip(keys, names, strict=True)
        ]
        said = AdapterFacts("LoCon + DoRA", "SD 1.5", True, 128, 64, tags=tuple(words)[:5])
        catalog = Catalog(
            {}, {a.key: a for a in adapters}, "", adapter_facts=dict.fromkeys(keys[1:], said)
        )
        states = dict.fromkeys(keys, "not available: " + "x" * 900)
        embed, _, _ = models_page(
            SAY, models, page, default=keys[0], loaded=keys[-1], states=states
        )
        check_limits(embed)
        for model in (None, models[0]):
            embed, _, _ = loras_page(SAY, adapters, page, model=model, catalog=catalog, nsfw=True)
            check_limits(embed)
            if adapters[0].trigger_words and page <= 0:
                assert "Trigger words: `" in embed.fields[0].value  # type: ignore[operator]


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

    def test_warnings_are_sentences(self) -> None:
        [said] = sentences(
            SAY, [Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})]
        )
        assert "5 of its 9 modules" in said


def test_what_varies_in_a_comparison_is_said_in_one_line() -> None:
    sheet = compared("a fox", ("weight", "0, 1"), ("steps", "10, 20"), lora="ink").comparison
    assert sheet is not None
    assert compared_line(SAY, sheet) == "weight (ink) 0, 1 × steps 10, 20"
    german = Texts.read().speaker("de")
    assert compared_line(german, sheet) == "LoRA-Gewicht (ink) 0, 1 × Schritte 10, 20"


class TestPages:
    def test_pages_are_brought_into_range(self) -> None:
        entries = list(range(PER_PAGE * 2 + 1))
        assert cut(entries, -3) == (entries[:PER_PAGE], 0, 3)
        assert cut(entries, 1) == (entries[PER_PAGE : 2 * PER_PAGE], 1, 3)
        assert cut(entries, 99) == (entries[-1:], 2, 3)
        assert cut([], 5) == ([], 0, 1)

    def test_what_is_said_of_a_model(self) -> None:
        models = [
            ModelEntry(key="a", name="A_a", path="x/y", description="Fine."),
            ModelEntry(key="b", name="B", path="x/y"),
        ]
        embed, page, pages = models_page(
            SAY, models, 0, default="a", loaded="b", states={"b": "not here"}
        )
        assert (page, pages) == (0, 1)
        shown = fields(embed)
        assert shown[r"A\_a"].splitlines()[:2] == ["`a` · default", "Fine."]
        assert shown["B"].splitlines()[0] == "`b` · loaded now · not here"
        assert "Page" not in (embed.footer.text or "")

    def test_what_is_said_of_a_lora(self) -> None:
        entry = AdapterEntry(
            key="ink", name="Ink", path="x/y", default_weight=0.75, trigger_words=("ink wash",)
        )
        embed, _, _ = loras_page(SAY, [entry] * 7, 1, model=None, catalog=NOTHING, nsfw=True)
        shown = fields(embed)
        assert shown["Ink"] == "`ink` · weight 0.75\nTrigger words: `ink wash`"
        assert "Page 2 of 2" in (embed.footer.text or "")

    def test_what_the_file_of_a_lora_says(self) -> None:
        facts = {
            "own": AdapterFacts("LoRA", "SDXL", True, 32, tags=("tree",)),
            "guess": AdapterFacts("LoKr + norm", "Pony", True, tags=("tree", "ink")),
            "old": AdapterFacts("LoRA", "SD 1.5", True, 8, tags=("tree",)),
            "dyn": AdapterFacts("DyLoRA"),
            "silent": AdapterFacts(),
        }
        adapters = {
            key: AdapterEntry(
                key=key,
                name=key,
                path="x/y",
                description="Fine.",
                trigger_words=("mine",) if key == "own" else (),
            )
            for key in facts
        }
        catalog = Catalog({}, adapters, "", adapter_facts=facts)
        embed, _, _ = loras_page(
            SAY, [*adapters.values()], 0, model=None, catalog=catalog, nsfw=True
        )
        assert {name: text.splitlines() for name, text in fields(embed).items()} == {
            "own": ["`own` · weight 1 · LoRA · rank 32 · SDXL", "Fine.", "Trigger words: `mine`"],
            "guess": [
                "`guess` · weight 1 · LoKr + norm · Pony",
                "Fine.",
                "Possible trigger words: `tree`, `ink`",
            ],
            "old": [
                "`old` · weight 1 · LoRA · rank 8 · SD 1.5",
                "⚠ made for SD 1.5, won't fit",
                "Fine.",
            ],
            "dyn": ["`dyn` · weight 1 · DyLoRA", "⚠ DyLoRA, not supported", "Fine."],
            "silent": ["`silent` · weight 1", "Fine."],
        }

    def test_a_lora_that_is_for_other_models_is_marked_for_the_chosen_one(self) -> None:
        kept = AdapterEntry(key="kept", name="Kept", path="x/y", models=("pony", "sdxl"))
        free = AdapterEntry(key="free", name="Free", path="x/y")
        catalog = Catalog({}, {"kept": kept, "free": free}, "")
        for key, order, mark in (
            ("pony", ["Kept", "Free"], []),
            ("turbo", ["Free", "Kept"], ["⚠ only for pony, sdxl"]),
        ):
            model = ModelEntry(key=key, name=key, path="x/y")
            embed, _, _ = loras_page(SAY, [kept, free], 0, model=model, catalog=catalog, nsfw=True)
            assert [*fields(embed)] == order
            assert fields(embed)["Kept"].splitlines() == ["`kept` · weight 1", *mark]

    def test_a_model_for_age_restricted_channels_is_not_named_elsewhere(self) -> None:
        models = {
            key: ModelEntry(key=key, name=key, path="x/y", nsfw=key == "adult")
            for key in ("adult", "sdxl", "turbo")
        }
        kept = {
            key: AdapterEntry(key=key, name=key, path="x/y", models=models)
            for key, models in {"both": ("adult", "sdxl"), "one": ("adult",)}.items()
        }
        catalog = Catalog(models, kept, "sdxl")
        for nsfw, both, one in (
            (True, "⚠ only for adult, sdxl", "⚠ only for adult"),
            (False, "⚠ only for sdxl", "⚠ won't fit this model"),
        ):
            embed, _, _ = loras_page(
                SAY, [*kept.values()], 0, model=models["turbo"], catalog=catalog, nsfw=nsfw
            )
            marks = {name: text.splitlines()[-1] for name, text in fields(embed).items()}
            assert marks == {"both": both, "one": one}

    def test_a_long_description_gives_way_to_the_trigger_words(self) -> None:
        entry = AdapterEntry(
            key="ink", name="Ink", path="x/y", description="*" * 900, trigger_words=("ink wash",)
        )
        embed, _, _ = loras_page(SAY, [entry], 0, model=None, catalog=NOTHING, nsfw=True)
        shown = fields(embed)["Ink"]
        assert shown.endswith("…\nTrigger words: `ink wash`")
        assert 690 <= len(shown) <= 700

    def test_nothing_to_show(self) -> None:
        embed, _, _ = models_page(SAY, [], 0, default="", loaded=(), states={})
        assert embed.description == "There are no models here yet."
        embed, _, _ = loras_page(SAY, [], 0, model=None, catalog=NOTHING, nsfw=True)
        assert embed.description == "There are no LoRAs here yet."


def test_words_of_a_sidecar_do_not_come_alive() -> None:
    words = ("ink` [free](https://evil.example) `", "@everyone", "a\u202eb")
    entry = AdapterEntry(
        key="a_b_c",
        name="[Ink](https://evil.example) **x**",
        path="a/b",
        description="# Big\n[x](https://evil.example) <@1> ||no||",
    )
    for trigger_words, facts in ((words[:2], AdapterFacts()), ((), AdapterFacts(tags=words))):
        shown = entry.model_copy(update={"trigger_words": trigger_words})
        catalog = Catalog({}, {"a_b_c": shown}, "", adapter_facts={"a_b_c": facts})
        [field] = loras_page(SAY, [shown], 0, model=None, catalog=catalog, nsfw=False)[0].fields
        assert "`ink' [free](https://evil.example) '`, `@everyone`" in (field.value or "")
        outside = re.sub(r"`[^`]*`", "", field.value or "")
        assert live(f"{field.name}\n{outside}") == []
    model = ModelEntry(key="m", name="[M](https://evil.example)", path="a/b")
    title = loras_page(SAY, [], 0, model=model, catalog=NOTHING, nsfw=False)[0].title
    assert live(title or "") == []
