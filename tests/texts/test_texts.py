"""Every sentence that the code uses exists, none is unused, and each can be formatted."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from bot.chat.ui.help import TOPICS
from bot.chat.ui.history import pair_values
from bot.chat.ui.markdown import plain
from bot.chat.ui.settings import GROUPS
from bot.levels import Level
from bot.levels.entering import KINDS
from bot.levels.fields import Buttons
from bot.moderation.word_list import ACTIONS
from bot.progress import UNLIMITED, Stage
from bot.queue import LaneState
from bot.request import AREAS, AXES, DESCRIBE_STYLES, UPSCALE_MODES
from bot.request.extending import SIDES
from bot.request.keeping import Part
from bot.settings.image_check import ImageCheck
from bot.store import ActKind, Decision, Kind
from bot.texts.language import SLASH, Plural, Sentence, Texts, _flatten
from catalog import CONTROL_TYPES, Catalog, EntryKind
from cogs.settings.desk import LEVELS
from tests.language import TEXTS
from tests.store.factories import REQUEST

ROOT = Path(__file__).parents[2]
ENGLISH = TEXTS._languages["en"]

SPELT_OUT = (Stage.QUEUED, Stage.UPSCALING, Stage.PAINTING, *UNLIMITED)
"""Stages with their own sentence and parameters."""

SETTINGS = {
    "title": (Level.PERSON, Level.CHANNEL, Level.SERVER),
    "own": (Level.PERSON, Level.CHANNEL, Level.SERVER),
    "from": (Level.OWNER, Level.SERVER, Level.CHANNEL),
    "group": GROUPS,
    "name": KINDS,
    "language": TEXTS.languages,
    "choice": (*get_args(Buttons), *get_args(ImageCheck)),
    "hint": ("loras", "size"),
}
EXPANSIONS = {
    "form.part.": AREAS,
    "form.preset.parts.": list(Part),
    "title.": get_args(Kind),
    "line.lane.": [state.value for state in LaneState if state is not LaneState.READY],
    "status.": [stage.value for stage in Stage if stage not in SPELT_OUT],
    "models.speeds.": ("fast", "medium", "slow"),
    "family.": [
        "negative",
        "guidance",
        "image",
        "reference",
        "control",
        "tile",
        "clip_skip",
        "edits",
    ],
    "upscale.modes.": UPSCALE_MODES,
    "describe.styles.": DESCRIBE_STYLES,
    "size.": ["square", "portrait", "landscape"],
    "command.compare.axes.": AXES,
    "command.settings.levels.": LEVELS,
    **{f"settings.{part}.": list(said) for part, said in SETTINGS.items()},
    "words.action.": ACTIONS,
    "admin.kind.": get_args(EntryKind),
    "admin.reload.": ["added", "removed", "changed"],
    "permission.": (),  # those that are asked for by name
    "acts.": [kind.value for kind in ActKind],
    "report.button.": [decision.value for decision in Decision],
    "report.decided.": ["still_shown", *(decision.value for decision in Decision)],
    "report.late.": [decision.value for decision in Decision],
    "help.topic.": [topic.name for topic in TOPICS],
    "facts.sides.": SIDES,
    "facts.control.": CONTROL_TYPES,
    "history.kinds.": get_args(Kind),
    "history.differs.": [*pair_values(REQUEST, Catalog({}, {}, ""))],
    "command.stats.last.": ["7", "30", "90"],
    **dict.fromkeys(
        (
            *("levels.no_painting.", "levels.cooldown."),
            *("levels.quota.", "levels.quota_small."),
        ),
        (Level.SERVER, Level.CHANNEL),
    ),
}
"""What the f-strings that build a code can become."""

FILE_NAMES = (".json", ".safetensors", ".index", ".toml", ".sqlite3")


@dataclass(frozen=True)
class Use:
    """A sentence that the code uses. params: None where they are not written out."""

    code: str
    params: frozenset[str] | None
    where: str


def sources() -> list[Path]:
    files = [*ROOT.joinpath("bot").rglob("*.py"), *ROOT.joinpath("cogs").rglob("*.py")]
    return [*sorted(files), ROOT / "main.py"]


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                match node.func:
                    case ast.Name(id=name) | ast.Attribute(attr=name):
                        yield file, node, name
                    case _:
                        pass


def codes_in(node: ast.expr) -> list[str]:
    """The codes that an expression can be, as far as they are written out."""
    match node:
        case ast.Constant(value=str(code)):
            return [code]
        case ast.IfExp(body=body, orelse=orelse):
            return [*codes_in(body), *codes_in(orelse)]
        case ast.JoinedStr(values=[ast.Constant(value=str(head)), ast.FormattedValue()]):
            assert head in EXPANSIONS, f"say what f'{head}…' can become"
            return [head + tail for tail in EXPANSIONS[head]]
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, default]):
            return codes_in(default)
        case _:
            return []


def given_params(call: ast.Call) -> frozenset[str] | None:
    names = [keyword.arg for keyword in call.keywords]
    return None if None in names else frozenset(name for name in names if name)


def keys_of(node: ast.expr) -> frozenset[str] | None:
    if not isinstance(node, ast.Dict):
        return None
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
    return frozenset(map(str, keys))


def asked_for() -> Iterator[Use]:
    for file, call, name in calls():
        where = f"{file.relative_to(ROOT)}:{call.lineno}"
        params = given_params(call)
        if name in {"say", "JobFailed", "Refused", "UserError"} and call.args:
            for code in codes_in(call.args[0]):
                yield Use(code, params, where)
        elif name == "InvalidRequest" and len(call.args) == 2:
            for code in codes_in(call.args[1]):
                yield Use(code, None if params is None else params | {"field"}, where)
        elif name in {"Notice", "Failure"} and len(call.args) == 2:
            for code in codes_in(call.args[0]):
                yield Use(code, keys_of(call.args[1]), where)
        elif name == "MissingPermissions":
            for names in call.args:
                for permission in ast.literal_eval(names):
                    yield Use(f"permission.{permission}", frozenset(), where)
        elif name == "locale_str":
            for code in (code for word in call.keywords for code in codes_in(word.value)):
                yield Use(code, None, where)
        elif name in {"failed", "Unfit"}:
            # The engine's codes: see bot/engine/subject.py; Unfit's params reach it with the path.
            more = {"path"} if name == "Unfit" else set()
            for code in (code for argument in call.args for code in codes_in(argument)):
                kind = code.partition(".")[0]
                yield Use(code, None if params is None else params | more | {kind}, where)


@cache
def literals() -> set[str]:
    """Every string in the code that looks like a code."""
    sections = {code.split(".")[0] for code in ENGLISH}
    found = set()
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                shaped = re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", text)
                if shaped and text.split(".")[0] in sections and not text.endswith(FILE_NAMES):
                    found.add(text)
    return found


def spoken(sentence: Sentence) -> list[str]:
    """Every form that a sentence can take."""
    return [sentence] if isinstance(sentence, str) else [*sentence.forms.values()]


def placeholders(sentence: Sentence) -> set[str]:
    by = {sentence.by} if isinstance(sentence, Plural) else set()
    found = (name for form in spoken(sentence) for _, name, _, _ in Formatter().parse(form))
    return by | {name for name in found if name is not None}


@pytest.fixture(scope="module")
def uses() -> list[Use]:
    return list(asked_for())


def test_the_search_finds_what_is_known_to_be_there(uses: list[Use]) -> None:
    codes = {use.code for use in uses}
    assert {
        "queue.full",
        "size.form",
        "status.painting",
        "status.saving",
        "title.vary",
        "memory.out",
    } <= codes
    assert {"adapter.gated", "model.gated", "adapter.broken", "model.incomplete"} <= codes
    assert "delivery.forbidden" in literals()
    assert len(uses) > 100


def test_every_sentence_that_is_asked_for_is_there(uses: list[Use]) -> None:
    missing = {f"{use.where}: {use.code}" for use in uses if use.code not in ENGLISH}
    assert not missing
    assert literals() <= set(ENGLISH)


def test_no_sentence_is_dead(uses: list[Use]) -> None:
    said = {code for topic in TOPICS for code in TEXTS.codes(f"help.{topic.name}")}
    used = {use.code for use in uses} | literals() | said
    assert set(ENGLISH) - used == set()


def test_every_sentence_can_be_filled_in_where_it_is_asked_for(uses: list[Use]) -> None:
    lacking = {}
    for use in uses:
        wanted = placeholders(ENGLISH.get(use.code, ""))
        names = {name for name in wanted if not name.startswith(SLASH)}
        if use.params is not None and not names <= use.params:
            lacking[f"{use.where}: {use.code}"] = names - use.params
    assert lacking == {}


def test_no_placeholder_is_nameless_or_an_expression() -> None:
    for code, sentence in ENGLISH.items():
        assert all(
            re.fullmatch(r"[a-z]+|/[a-z]+(?: [a-z]+)*", name) for name in placeholders(sentence)
        ), code


def test_sentences_are_short_enough_for_where_they_stand() -> None:
    for code, sentence in ENGLISH.items():
        if code.startswith("command."):
            assert isinstance(sentence, str), f"{code}: Discord takes one description"
            assert 1 <= len(sentence) <= 100, code
        assert all(len(form) <= 256 for form in spoken(sentence)), code


FOOTERS = {"models.hint", "loras.hint", "line.hint", "presets.hint"}
"""Discord makes no mentions of what stands in a footer."""
NAMED_AS_SUCH = {"history.kinds.imagine", "admin.block.here"}
"""A label, and a group of commands, which cannot be used itself."""


@pytest.mark.parametrize("language", TEXTS.languages)
def test_commands_are_named_so_that_they_can_be_pressed(language: str) -> None:
    roots = {code.split(".")[1] for code in ENGLISH if code.startswith("command.")}
    plain = re.compile(rf"(?<![\w{{<.])/(?:{'|'.join(roots)})\b")
    found = {
        code
        for code, sentence in TEXTS._languages[language].items()
        if not code.startswith("command.") and any(map(plain.search, spoken(sentence)))
    }
    assert found == FOOTERS | NAMED_AS_SUCH


class TestSpeaking:
    texts = Texts(
        {
            "en": {"a": "A {x}", "b": "B"},
            "de": {"a": "Ä {x}"},
            "pt-BR": {"b": "Bê"},
        }
    )

    @pytest.mark.parametrize(
        ("locale", "a", "b"),
        [
            ("en", "A 1", "B"),
            ("en-US", "A 1", "B"),
            ("de", "Ä 1", "B"),
            ("pt-BR", "A 1", "Bê"),
            ("fr", "A 1", "B"),
            ("zh-CN", "A 1", "B"),
            ("", "A 1", "B"),
        ],
    )
    def test_a_locale_without_a_sentence_gets_english(self, locale: str, a: str, b: str) -> None:
        say = self.texts.speaker(locale)
        assert (say("a", x=1), say("b")) == (a, b)

    def test_a_translation_is_given_for_its_own_language_only(self) -> None:
        assert self.texts.translation("a", "de") == "Ä {x}"
        assert self.texts.translation("b", "de") is None
        assert self.texts.translation("a", "fr") is None

    def test_values_are_never_read_as_templates(self) -> None:
        assert self.texts.speaker()("a", x="{x} {0} {b.__class__}") == "A {x} {0} {b.__class__}"

    def test_tables_become_dotted_paths(self) -> None:
        assert _flatten({"a": {"b": {"c": "x"}, "d": "y"}}) == {"a.b.c": "x", "a.d": "y"}

    def test_a_table_of_forms_is_one_sentence(self) -> None:
        forms = {"0": "none", "one": "an x", "other": "{n} x"}
        assert _flatten({"a": {"b": {"by": "n", **forms}}}) == {"a.b": Plural("n", forms)}
        assert _flatten({"a": {"other": "x"}}) == {"a": Plural("count", {"other": "x"})}
        assert _flatten({"a": {"other": "x", "done": "y"}}) == {"a.other": "x", "a.done": "y"}

    def test_values_are_shown_without_markdown_and_not_at_any_length(self) -> None:
        names = ("*x*", "y" * 150, "z" * 150)
        shown = plain({"a": "*x*_y_", "n": 5, "long": "x" * 6000, "names": names})
        assert shown["names"] == [r"\*x\*", "y" * 150, "…"]
        assert shown["a"] == r"\*x\*\_y\_"
        assert shown["n"] == 5
        assert str(shown["long"]).startswith("xxx")
        assert len(str(shown["long"])) <= 400
