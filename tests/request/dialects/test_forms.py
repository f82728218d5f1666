"""Forms that mean nothing here are named, with what to write instead; prose is left alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.request import AdapterUse, EmbeddingUse
from bot.request.dialects.composition import COMPOSITION, composes
from bot.request.dialects.flags import extract_flags
from bot.request.dialects.forms import FORMS, without_forms
from bot.request.dialects.infotext import pasted_infotext
from tests.parameters import examples
from tests.request.dialects.catalog import composed

WORDS = {
    "hot::2 dog": ("a::2", "(a:2)"),
    "space:: ship": ("a::2", "(a:2)"),
    "(a b)::-.5, c": ("a::2", "(a:2)"),
    "1.5::rain, night::, a fox": ("1.5::a::", "(a:1.5)"),
    "a (red ball)++ in snow": ("(a)++", "(a:1.2)"),
    "a (red ball)1.3": ("(a)++", "(a:1.2)"),
    "a fluffy++ fox": ("a++", "(a:1.2)"),
    '("a fox", "a dog").blend(1, 1)': (".blend()", None),
    "a cat.swap(dog)": (".blend()", None),
    "a <random:red,blue> fox": ("<random:…>", None),
    "a <fromto[0.4]:cat,dog>": ("<random:…>", None),
    "a cat AND a dog": (COMPOSITION, None),
    "a cat :1.2 AND a dog :0.8": (COMPOSITION, None),
}
PROSE = (
    "a: b, c: d",
    "a fox :) :-) ;) :D <3 >:( ^_^ :3 T_T",
    "a clock at 12:30, ratio 16:9, C++ code, std::vector on a screen",
    "(a fox:1.2), [snow], (rain) BREAK (night:0.8)",
    r"a \[cat:dog:0.5\] on a sign, \(a\)",
    "[a: an old letter]",
    "[cat:dog] and [5 o'clock]",
    "ROCK AND ROLL, BLACK AND WHITE",
    "a band and an ANDROID, Andes, BRAND",
    "a|b | c",
    "LGBTQ+ flag, 5+ people, a+b, A+",
    "-- dashes -- and - minus -, e--mail",
    "a fox (smiling) -- or (not) - really",
    "10-20 people, -5 degrees, 1.5 m",
    "https://x.test on a screen, https://x.test/a.html, <base>, <object>",
    "<a tag>, a < b > c, <:smile:123>, <t:123>",
    "seed: -1 is a word here, steps: 20",
)


@pytest.mark.parametrize("prompt", WORDS)
def test_each_is_named_and_its_words_stay(prompt: str) -> None:
    form, instead = WORDS[prompt]
    text, notes = without_forms(prompt)
    assert text == prompt
    params = {"form": form, "instead": instead} if instead else {"form": form}
    assert params in [dict(note.params) for note in notes]


def test_a_form_that_explains_another_is_named_alone() -> None:
    assert [note.params["form"] for note in without_forms("1.5::rain::, a fox")[1]] == ["1.5::a::"]


def test_every_form_has_an_example() -> None:
    named = {form for form, _ in WORDS.values()}
    assert named >= {form.name for form in FORMS if not form.left_out}


@pytest.mark.parametrize(
    ("prompt", "form"),
    [
        ("a fox, <hypernet:x:1>, snow", "<hypernet:…>"),
        ("a fox, <HYPERNET:x> snow", "<hypernet:…>"),
        ("a fox, <segment:face,0.5>, snow", "<segment:…>"),
        ("a fox, <clear[x]:y>, snow", "<segment:…>"),
        ("https://x.test/a.png https://s.mj.run/abc a fox, snow", "https://….png"),
        ("a fox, https://x.test/b.JPG?size=1, snow", "https://….png"),
    ],
)
def test_tags_are_left_out_of_both_prompts(prompt: str, form: str) -> None:
    made = composed(prompt, negative=prompt)
    assert made.request.prompt.replace(",", "") == "a fox snow"
    assert made.request.negative == made.request.prompt
    assert [note.params["form"] for note in made.notes] == [form]


@pytest.mark.parametrize("prompt", PROSE)
def test_prose_is_prose(prompt: str) -> None:
    made = composed(prompt)
    assert (made.request.prompt, made.notes) == (prompt, ())


def test_a_prompt_of_nothing_else_is_empty() -> None:
    with pytest.raises(InvalidRequest, match=r"prompt\.empty"):
        composed("<hypernet:x:1>")


def test_notes_quote_no_words_of_the_prompt() -> None:
    forms = ("canary::2", "<hypernet:canary:1>", "<alt:canary>")
    made = composed(" ".join((*forms, "(canary)++", "canary++")))
    assert len(made.notes) == 5
    assert "canary" not in repr(made.notes)


@pytest.mark.parametrize(
    "name",
    ["ink", "Ink wash", "InkWash_v2", "inkwash_v2.safetensors", "sumi_e_trained", "x/InkWash_v2"],
)
def test_a_lora_by_key_name_file_and_trainers_name(name: str) -> None:
    uses = (AdapterUse("ink", 0.5),)
    assert composed("a fox", lora=f"{name}:0.5").request.adapters == uses
    assert composed(f"a fox <lora:{name}:0.5>").request.adapters == uses
    assert composed(f"a fox <lyco:{name}:0.5>").request.adapters == uses


@pytest.mark.parametrize(
    "options", [{"lora": "Anime style"}, {"prompt": "a fox <lora:ANIME STYLE:1>"}]
)
def test_a_name_of_several_loras_lists_them(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as error:
        composed(**{"prompt": "a fox", **options})
    assert error.value.params["keys"] == ("anime", "anime-2")


@pytest.mark.parametrize(
    "name",
    ["other", "Other Model", "other_v1", "other_v1.safetensors [bbbbbbbb]", "b" * 10, "B" * 64],
)
def test_a_model_by_key_name_file_and_hash(name: str) -> None:
    assert composed("a fox", model=name).request.model == "other"


def test_an_embedding_by_its_name() -> None:
    made = composed("a fox, embedding:hands")
    assert made.request.embeddings == (EmbeddingUse("hands", "embedding:hands"),)
    with pytest.raises(InvalidRequest, match=r"embedding\.un"):
        composed("a fox, embedding:hanfs")


PIECES = st.lists(
    st.sampled_from(
        [
            *("a fox", "snow", "(rain:1.2)", "[night]", ", ", " ", "BREAK", "AND", ": ", ":", "|"),
            *("--ar 2:3", "--seed 5", "--no", "--", "—", "--s 5", "--tile", "--x", "::2", "{", "}"),
            *(
                "<hypernet:x>",
                "<",
                ">",
                "https://x.test",
                "https://x.test/a.png",
                "[a:b:0.5]",
                "++",
                ")",
                "1.5::",
                "\\",
            ),
        ]
    )
).map(" ".join)


@pytest.mark.long
@given(st.text(max_size=80) | PIECES)
@settings(max_examples=examples(300))
def test_what_was_understood_stays_as_it_is(text: str) -> None:
    try:
        first = composed(text)
    except InvalidRequest:
        return
    request = first.request
    again = composed(request.prompt, negative=request.negative)
    assert (again.request.prompt, again.request.negative) == (request.prompt, request.negative)


@given(st.from_regex(r"[A-Za-z ,.'!?()0-9;]{0,80}", fullmatch=True))
def test_ordinary_prompts_are_untouched(prompt: str) -> None:
    assert extract_flags(prompt).prompt == prompt
    assert without_forms(prompt)[0] == prompt
    assert pasted_infotext(prompt) is None
    if "AND" not in prompt and ")" not in prompt:
        assert without_forms(prompt)[1] == ()


@given(st.text(alphabet="A ND\\[]", max_size=60))
def test_nothing_breaks_the_search_for_and(text: str) -> None:
    assert not composes(text) or "AND" in text


@pytest.mark.parametrize("prompt", ["a {3::red|1::green} fox", "a {red|2.5::green} fox"])
def test_weights_of_what_is_drawn_are_no_other_programs(prompt: str) -> None:
    made = composed(prompt)
    assert made.notes == ()
    assert made.request.template is not None
