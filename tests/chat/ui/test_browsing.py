"""Pages of the catalog: what each says of an entry, what it lists, and what its buttons carry."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.ui.browsing import (
    PER_PAGE,
    Filter,
    Listing,
    SearchFormId,
    TurnId,
    kept_as,
    kept_in,
    listing_layout,
    packed,
    unpacked,
)
from bot.chat.ui.cards import CARD_MAX, Card, Known, card_of
from bot.chat.ui.custom_id import CUSTOM_ID_MAX, Routed
from bot.chat.ui.pages import cut
from bot.chat.ui.shelves import shelve, tags_of
from bot.errors import InvalidRequest
from bot.previews import Shelf
from catalog import (
    AdapterEntry,
    AdapterFacts,
    Catalog,
    ControlNetEntry,
    ControlNets,
    EmbeddingEntry,
    FloatRange,
    IntRange,
    Misfit,
    ModelEntry,
    ReferenceEntry,
    Unfit,
)
from catalog.families import FAMILIES
from catalog.families.sdxl import SDXL
from catalog.weight_files import Refusal
from tests.chat.ui.test_markdown import live
from tests.chat.ui.test_messages import LONG
from tests.language import TEXTS
from tests.parameters import examples

SAY = TEXTS.speaker()
NOTHING = Catalog({}, {}, "")
ADAPTER = ReferenceEntry(path="a/b", weight_name="w.safetensors", encoder="a/b")
EDGES = ControlNetEntry(key="canny", name="Canny edges", path="canny.safetensors")
GUIDED = Catalog(
    {}, {}, "", references={"sdxl": ADAPTER}, controlnets=ControlNets({"canny": EDGES})
)
"""Where reference images and ControlNets are set up, for SDXL."""
WORDS = st.text(max_size=60)


def model(key: str = "a", **fields: Any) -> ModelEntry:
    return ModelEntry(**{"key": key, "name": key, "path": "x/y", **fields})


def lora(key: str = "ink", **fields: Any) -> AdapterEntry:
    return AdapterEntry(**{"key": key, "name": key, "path": "x/y", **fields})


def lines(
    entry: Any,
    known: Known | None = None,
    catalog: Catalog = NOTHING,
    why: Misfit | None = None,
    *,
    nsfw: bool = True,
) -> list[str]:
    return card_of(SAY, entry, known or Known(), why, catalog, nsfw=nsfw).text.splitlines()


def keys_on(catalog: Catalog, shelf: Shelf, *, nsfw: bool = False, **limits: str) -> list[str]:
    return [e.key for e in shelve(catalog, shelf, Filter(**limits), nsfw=nsfw).entries]


def test_pages_are_brought_into_range() -> None:
    entries = list(range(PER_PAGE * 2 + 1))
    assert cut(entries, -3, PER_PAGE) == (entries[:PER_PAGE], 0, 3)
    assert cut(entries, 1, PER_PAGE) == (entries[PER_PAGE : 2 * PER_PAGE], 1, 3)
    assert cut(entries, 99, PER_PAGE) == (entries[-1:], 2, 3)
    assert cut([], 5) == ([], 0, 1)


class TestCards:
    def test_what_is_said_of_a_model(self) -> None:
        known = Known(
            states={"b": "not here"}, loaded=["b"], default="a", here={"a": 2000}, mine={"a": 1}
        )
        a = model(name="A_a", description="Fine.", tags=("photo", "fast"), licence="MIT")
        assert lines(a, known, GUIDED) == [
            r"### A\_a",
            "`a` · default",
            "Stable Diffusion XL · medium speed",
            "LoRAs for SDXL, Pony, Illustrious, and NoobAI",
            "Fine.",
            "-# 1024×1024, 30 steps, guidance 7.5",
            "-# photo, fast · MIT",
            "-# used here 2,000 times in 30 days · once by you",
        ]
        assert lines(model("b"), known)[1] == "`b` · loaded now · not here"

    def test_of_one_whose_file_is_something_else_nothing_more_is_said(self) -> None:
        entry = model("flux")
        unfit = {"flux": Unfit("flux.safetensors", Refusal("Flux (dev) transformer"))}
        catalog = Catalog({"flux": entry}, {}, "", unfit_models=unfit)
        assert not any("Stable" in line or "steps" in line for line in lines(entry, None, catalog))

    def test_a_model_says_how_fast_it_is_and_what_it_does_not_take(self) -> None:
        small = lines(model(family="sd15"))
        assert small[2:4] == [
            "Stable Diffusion 1.5 · fast · takes no `reference` or `control`",
            "LoRAs for SD 1.5",
        ]
        assert "-# licence of Stable Diffusion 1.5: CreativeML OpenRAIL-M" in small
        few = IntRange(min=1, default=6, max=8)
        assert lines(model(steps=few), None, GUIDED)[2] == "Stable Diffusion XL · fast"
        many = IntRange(min=1, default=60, max=80)
        assert lines(model(steps=many), None, GUIDED)[2] == "Stable Diffusion XL · slow"
        one = FloatRange(min=1.0, default=1.0, max=1.0)
        plain = replace(SDXL, name="Plain", takes_image=False, clip_skip=None)
        assert lines(model(family=plain, guidance=one), None, GUIDED)[2] == (
            "Plain · medium speed · takes no `guidance` or `image`"
        )

    @pytest.mark.parametrize(
        ("variant", "said"),
        [
            (
                "distilled",
                "fast · takes no `negative`, `guidance`, `reference`, `control`, `tile`, or"
                " brackets",
            ),
            ("base", "slow · takes no `reference`, `control`, `tile`, or brackets"),
        ],
    )
    def test_a_model_says_its_variant_what_it_edits_and_its_loras(
        self, variant: str, said: str
    ) -> None:
        assert lines(model(family="flux2", variant=variant), None, GUIDED)[2:4] == [
            f"FLUX.2 klein ({variant}) · {said}",
            "edits up to 4 images · LoRAs for FLUX.2 klein 4B and FLUX.2 klein",
        ]

    def test_a_demo_model_takes_only_loras_that_name_it(self) -> None:
        assert not any("LoRAs" in line for line in lines(model(demo=True), None, GUIDED))

    @pytest.mark.parametrize("language", ["en-US", "de", "fr"])
    def test_the_longest_of_it_is_cut_nowhere(self, language: str) -> None:
        say = TEXTS.speaker(language)
        for family in FAMILIES.values():
            for variant in family.variants:
                entry = model(family=family, variant=variant.name)
                said = card_of(say, entry, Known(), None, NOTHING, nsfw=True).text
                assert "…" not in said

    def test_trigger_words_are_copied_at_once(self) -> None:
        entry = lora(default_weight=0.75, trigger_words=("ink wash", "sumi"))
        assert lines(entry)[1:] == ["`ink` · weight 0.75", "Trigger words: `ink wash, sumi`"]
        many = lora(trigger_words=tuple(f"word {n}" for n in range(20)))
        assert lines(many)[-1].startswith("Trigger words: `word 0`, `word 1`")

    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            (AdapterFacts("LoRA", "SDXL", True, 32), ["`ink` · weight 1 · LoRA · rank 32 · SDXL"]),
            (
                AdapterFacts("LoKr + norm", "Pony", True, tags=("tree", "ink")),
                [
                    "`ink` · weight 1 · LoKr + norm · Pony",
                    "Possible trigger words: `tree`, `ink`",
                ],
            ),
            (
                AdapterFacts("LoRA", "SD 2", True, 8, tags=("tree",)),
                ["`ink` · weight 1 · LoRA · rank 8 · SD 2", "⚠ made for SD 2, won't fit"],
            ),
            (
                AdapterFacts("DyLoRA"),
                ["`ink` · weight 1 · DyLoRA", "⚠ DyLoRA, not supported"],
            ),
            (AdapterFacts(), ["`ink` · weight 1"]),
        ],
    )
    def test_what_the_file_of_a_lora_says(self, facts: AdapterFacts, said: list[str]) -> None:
        catalog = Catalog({}, {"ink": lora()}, "", adapter_facts={"ink": facts})
        assert lines(lora(), catalog=catalog, why=catalog.misfit("ink"))[1:] == said

    def test_a_model_for_age_restricted_channels_is_not_named_elsewhere(self) -> None:
        models = {key: model(key, nsfw=key == "adult") for key in ("adult", "sdxl", "turbo")}
        kept = {
            "both": lora("both", models=("adult", "sdxl")),
            "one": lora("one", models=("adult",)),
        }
        catalog = Catalog(models, kept, "sdxl")
        for nsfw, both, one in (
            (True, "⚠ only for adult, sdxl", "⚠ only for adult"),
            (False, "⚠ only for sdxl", "⚠ won't fit this model"),
        ):
            for key, mark in (("both", both), ("one", one)):
                why = catalog.misfit(key, "turbo")
                assert lines(kept[key], catalog=catalog, why=why, nsfw=nsfw)[-1] == mark

    def test_a_long_description_gives_way_to_the_trigger_words(self) -> None:
        entry = lora(description="*" * 900, trigger_words=("ink wash",))
        said = card_of(SAY, entry, Known(), None, NOTHING, nsfw=False).text
        assert said.endswith("…\nTrigger words: `ink wash`")
        assert CARD_MAX - 10 <= len(said) <= CARD_MAX

    def test_an_embedding_is_named_as_it_is_written(self) -> None:
        entry = EmbeddingEntry(key="hands", name="Hands", path="embeddings/Fine.safetensors")
        assert lines(entry)[1:] == ["`embedding:hands`", "Also as: `Fine`"]

    def test_words_of_a_sidecar_do_not_come_alive(self) -> None:
        words = ("ink` [free](https://evil.example) `", "@everyone", "a\u202eb")
        entry = lora(
            name="[Ink](https://evil.example) **x**",
            description="# Big\n[x](https://evil.example) <@1> ||no||",
            licence="[MIT](https://evil.example)",
            tags=("**x**", "<@1>"),
        )
        for triggers, facts in ((words[:2], AdapterFacts()), ((), AdapterFacts(tags=words))):
            shown = entry.model_copy(update={"trigger_words": triggers})
            catalog = Catalog({}, {"ink": shown}, "", adapter_facts={"ink": facts})
            text = "\n".join(lines(shown, catalog=catalog))
            assert "`ink' [free](https://evil.example) '" in text
            outside = re.sub(r"`[^`]*`", "", text).removeprefix("### ").replace("\n-# ", "\n")
            assert live(outside) == []


class TestShelves:
    def test_loras_that_do_not_fit_come_last(self) -> None:
        models = {key: model(key) for key in ("sdxl", "turbo")}
        loras = {"kept": lora("kept", models=("sdxl",)), "free": lora("free")}
        catalog = Catalog(models, loras, "sdxl")
        assert keys_on(catalog, Shelf.LORAS) == ["kept", "free"]
        assert keys_on(catalog, Shelf.LORAS, model="turbo") == ["free", "kept"]
        with pytest.raises(InvalidRequest):
            keys_on(catalog, Shelf.LORAS, model="nonsense")

    def test_words_and_tags_limit_a_list(self) -> None:
        loras = {
            "ink": lora("ink", tags=("Style", "ink")),
            "pink": lora("pink", tags=("style",)),
            "oil": lora("oil", tags=("ink",)),
            "bare": lora("bare", tags=("hush", "style"), nsfw=True),
            "off": lora("off", enabled=False),
        }
        catalog = Catalog({"m": model("m")}, loras, "m")
        assert keys_on(catalog, Shelf.LORAS, words="ink") == ["ink", "pink", "oil"]
        assert keys_on(catalog, Shelf.LORAS, words="ink", tag="STYLE") == ["ink", "pink"]
        assert keys_on(catalog, Shelf.LORAS, words="bare") == []
        assert keys_on(catalog, Shelf.LORAS, words="bare", nsfw=True) == ["bare"]
        assert shelve(catalog, Shelf.LORAS, Filter(), nsfw=False).tags == [("ink", 2), ("style", 2)]
        assert tags_of([]) == []


class TestIds:
    @given(model=WORDS, tag=WORDS, words=WORDS)
    def test_a_filter_is_carried_whole_or_kept(self, model: str, tag: str, words: str) -> None:
        limits = Filter(model, tag, words)
        of = packed(limits)
        if of is None:
            return
        assert unpacked(of) == limits
        assert kept_in(of) is None
        for custom_id in (TurnId(Shelf.LORAS, 7, of), SearchFormId(Shelf.EMBEDDINGS, 99_999, of)):
            assert len(str(custom_id)) <= CUSTOM_ID_MAX
            assert type(custom_id).parse(str(custom_id)) == custom_id

    def test_what_is_too_long_is_kept_elsewhere(self) -> None:
        assert packed(Filter(words="x" * 90)) is None
        assert kept_in(kept_as("abc")) == "abc"

    def test_forged_ones_are_refused(self) -> None:
        with pytest.raises(ValueError, match="not a filter"):
            unpacked("a/b/c/d")


@settings(max_examples=examples(60))
@given(
    names=st.lists(st.text("*_`~|>@x", min_size=1, max_size=80), min_size=1, max_size=PER_PAGE),
    description=LONG.map(lambda text: text[:1000]),
    words=LONG.map(lambda text: text[:100]),
    tags=st.lists(st.text("*_`xab", min_size=1, max_size=40), max_size=30, unique=True),
    page=st.integers(0, 3),
    language=st.sampled_from(["en", "de", "fr"]),
    why=st.sampled_from([None, Misfit("base", "b" * 200), Misfit("algorithm", "a" * 200)]),
)
def test_a_page_keeps_to_the_limits(
    names: list[str],
    description: str,
    words: str,
    tags: list[str],
    page: int,
    language: str,
    why: Misfit | None,
) -> None:
    say = TEXTS.speaker(language)
    entries = [
        lora(
            f"{'k' * 40}{n}",
            name=name,
            description=description,
            trigger_words=("*" * 100,) * 20,
            licence="_" * 200,
            tags=("`" * 40,) * 6,
        )
        for n, name in enumerate(names)
    ]
    used = dict.fromkeys((e.key for e in entries), 10**6)
    known = Known(here=used, mine=used, loaded=[*used])
    cards: list[Card] = [card_of(say, e, known, why, NOTHING, nsfw=True) for e in entries]
    assert all(len(card.text) <= CARD_MAX for card in cards)
    assert all("*" * 100 in card.text for card in cards)
    listing = Listing(
        shelf=Shelf.LORAS,
        title="T" * 100,
        of=packed(Filter(words=words, tag=tags[0] if tags else "")) or kept_as("k" * 10),
        limits=Filter(words=words, tag=tags[0] if tags else ""),
        cards=cards,
        page=page,
        pages=4,
        count=20,
        tags=[(tag.casefold(), 3) for tag in tags],
        pictures={cards[0].key: "loras-0.webp"},
        empty="-",
        notes=["n" * 100, "r" * 60],
    )
    view = listing_layout(say, listing)
    assert len([*view.walk_children()]) <= 40
    assert view.content_length() <= 4_000
    ids = [str(item.custom_id) for item in view.walk_children() if isinstance(item, Routed)]
    assert len(ids) == len({*ids})
    assert all(len(custom_id) <= CUSTOM_ID_MAX for custom_id in ids)
