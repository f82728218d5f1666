"""Whatever reads text from people and files takes time in proportion to its length.

Each reader gets hostile texts of some length and of four times that. Work in proportion takes about
four times as long, quadratic work sixteen times. What is compared is the CPU time of this thread,
the least of several runs, so that other processes do not matter.
"""

import gc
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import product

import pytest

from bot.chat import copies
from bot.chat.ui import markdown
from bot.chat.ui.choices import (
    adapter_choices,
    model_choices,
    scheduler_choices,
    size_choices,
)
from bot.chat.ui.custom_id import CustomId, Routed
from bot.chat.ui.presets import preset_choices
from bot.engine.patches.names import Spellings
from bot.errors import UserError
from bot.files import jpeg, orientation
from bot.log import JsonFormatter, RedactingFormatter, traceback_without
from bot.request import Draft, compose, dynamic, editing, emphasis, syntax, unicode_text
from bot.request.dialects.composition import composes
from bot.request.dialects.flags import extract_flags
from bot.request.dialects.forms import without_forms
from bot.request.dialects.infotext import parse_infotext, pasted_infotext, settings_of
from bot.request.dialects.samplers import find_scheduler
from bot.request.drawing import check_tags_outside, missing_words
from bot.request.dynamic.chance import Chance
from bot.request.embeddings import embeddings_of
from bot.request.filling import fill
from bot.request.offers import find_adapter, find_model
from bot.settings import names_of
from bot.settings.values import parts_of
from bot.store import known_weights
from bot.variables import misspelled
from catalog import (
    AdapterEntry,
    AdapterFacts,
    Catalog,
    EmbeddingEntry,
    Embeddings,
    ModelEntry,
    WildcardFile,
    Wildcards,
    Words,
)
from catalog.aliases import Aliases, Naming
from catalog.dropins import slug
from catalog.embeddings import plain_name
from catalog.lines import clean_line, one_line
from catalog.locate import is_hub_id
from catalog.search import Index
from catalog.sidecars.fields import fields_of
from catalog.sidecars.plain_text import plain_text
from catalog.weight_files import (
    adapter_facts,
    base_models,
    embedding,
    header,
    ldm_config,
    pipeline,
    prediction,
    tensor_names,
)
from catalog.weight_files.harmless import is_harmless
from catalog.weight_files.large_json import parse_large
from catalog.weight_files.patterns import ElaboratePattern, Patterns
from catalog.weight_files.quantisation import refusal
from catalog.weight_files.training import frequent_tags, output_name, phrase, title, weight
from catalog.weight_files.unsupported import unsupported_kind
from catalog.weight_sets import MissingShard, weight_files
from playground import mentions
from tests.language import TEXTS

pytestmark = pytest.mark.long


Reader = Callable[[str], object]

LENGTH = 1_000
"""Characters of the shorter text; people can send six thousand."""
TIMES = 4
TOO_MUCH = 8.0
"""Times as long for a text of TIMES the length: twice what is in proportion, half of quadratic."""
AT_ONCE = 0.002
"""Seconds of CPU time for the longer text below which it does not matter how it grows."""

FRAMES = (
    ("", ""),
    ("(", ")"),
    (":1", "x"),
    ("a: ", "!"),
    ('Steps: 1, Seed: 1, Size: 1x1, x: "', "x"),
    ("<lora:a:te=", "x\ny>"),
    ("<", ">"),
    ("\n", "-"),
    ("a::", "x"),
    ("[a](", " x"),
    ("`", "\\"),
    ("{2", "|a}"),
)
PIECES = (
    *("1", "1.", ".", ":", ":1", ": ", "::1)", "+", "-", "- ", ",", ", ", "x", "1x", "1 x "),
    *(" ", "\t", "\n", "\r\n", "\n ", "\u2028", "a", "a ", "a.", "A-", "é", "\ufdfa", "\u0300"),
    *("(", ")", "[", "]", "(:", "[a](", "{", "<", ">", "< ", "<lora:", "<lora:a:1>", "te=", "te= "),
    *("\\", "\\(", "*", "`", "```", "`a", "~", "_", "|", "#", '"', '\\"', 'a:"', "a: b,", "x="),
    *(
        "BREAK",
        "BREAK ",
        "a" * 24 + ".",
        "/webhooks/1/",
        "<@1",
        "<b>",
        "&#",
        "{'a':",
        '{"a":',
        "[1,",
    ),
    *("<p>", "<li", "<!--", "<script>", "</p", "&amp;", "&#1", "- a: ", "&a [*a,", "? ", "|\n"),
    *("embedding:", "embedding:a ", "<embed:", "<a>", "a a a (1) ", "base_model.model.", "_module"),
    *("{2$$", "{a|", "{1-", "$", "__", "__a", "__a__", "\\__", "0::", "{ ", "a|"),
    *("lora_unet_", ".down", "-1-of-1", ".*", "[a-z]+", "_SERVICE_HOST", "_1", "\\u00", "/", "a/"),
    *('{"a":', "[1,", "Negative prompt:", "aW50ZXJhY3Rpb246", "a=1\n", "[a]\n", "a.b.", "'''"),
    *("--ar 1:1 ", "AND ", "::", "Steps: 1, ", "https://", ".png"),
)

MODEL = ModelEntry(key="base", name="Base", path="org/base")
CATALOG = Catalog(
    models={"base": MODEL},
    adapters={
        key: AdapterEntry(key=key, name=key.title(), path="a/b", trigger_words=("ink (wash)", key))
        for key in (f"style-{number}" for number in range(50))
    },
    default="base",
    adapter_facts={
        f"style-{number}": AdapterFacts("LoRA", "SDXL", True, bundled=("a.1", "<a>"))
        for number in range(3)
    },
    embeddings=Embeddings(
        {
            key: EmbeddingEntry(key=key, name=name, path=f"{name}.safetensors", token=token)
            for key, name, token in (
                ("a", "a a a (1)", "<a>"),
                ("x", "1x 1 x", "x: x"),
                ("long", "a: b," * 12, "long"),
            )
        }
    ),
)
WILDCARDS = Wildcards({f"{name}/a a": WildcardFile(("a",)) for name in ("a", "b" * 90)})
ENTRIES = list(CATALOG.adapters.values())
SAY = TEXTS.speaker("en")
REDACTING = RedactingFormatter(("a secret",))
AS_JSON = JsonFormatter(("a secret",))
KEYS = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name", "ss_output_name")
TELLING = ("modelspec.prediction_type", "ss_v_parameterization", "quantization_format")


class Pressed(CustomId):
    prefix = "a"


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("bot", logging.INFO, "x.py", 1, "said %s", (text,), None)


def weights(text: str) -> header.Header:
    """The header of a weight file in which every name and every text is `text`."""
    names = {text: (4, 4), f"{text}.lora_down.weight": (4, 4), f"bundle_emb.{text}.clip_l": (4, 4)}
    return header.Header(
        shapes=names,
        dtypes=dict.fromkeys(names, "F16"),
        starts=dict.fromkeys(names, 0),
        sizes=dict.fromkeys(names, 32),
        data_start=0,
        metadata=dict.fromkeys((*KEYS, *TELLING), text),
    )


def sidecar(text: str) -> dict[str, object]:
    """What another program keeps beside a file, with `text` wherever there may be one."""
    return {
        "name": text,
        "description": text,
        "trainedWords": [text, *text.split("\n")],
        "usage_tips": text,
        "lora default weight": text,
        "civitai": {"modelVersions": [{"files": [{"name": text}], "baseModel": text}]},
    }


def matched(text: str) -> object:
    """A pattern as in peft's `alpha_pattern`, against a path that nearly matches."""
    with suppress(ElaboratePattern):
        return Patterns.of({text: 1.0}).find([text + "!", "a" * 200, "a." * 100])
    return Patterns.of({"a": 1.0}).find([text])


def shards(text: str) -> object:
    with suppress(MissingShard):
        return weight_files([f"model{text}.safetensors"], "", ("model",), half=True)
    return None


def said_beside(text: str) -> object:
    with suppress(prediction.UnknownTraining):
        return ldm_config.of_text(text.encode(), "a.yaml")
    return None


def told(text: str) -> object:
    with suppress(prediction.UnknownTraining):
        return prediction.of_metadata({"modelspec.prediction_type": text})
    return None


def said_in(text: str) -> object:
    read = pasted_infotext(text)
    return None if read is None else settings_of(read)


NAME_MAX = 255
"""Names of files end there, and those of entries earlier."""
READERS: dict[str, Reader] = {
    "prompt: emphasis": emphasis.parse,
    "prompt: without emphasis": emphasis.plain,
    "prompt: editing": lambda text: editing.Editing(text).schedule(4),
    "prompts joined": lambda text: emphasis.join([text, text]),
    "prompt: tags": syntax.extract_tags,
    "prompt: trigger words": lambda text: missing_words(text, ENTRIES[:4]),
    "prompt: what is drawn": dynamic.parse,
    "prompt: escaped": dynamic.escaped,
    "prompt: as it is drawn": lambda text: dynamic.draw(
        dynamic.parse(text), Chance(0, "prompt"), dynamic.Place(Wildcards(), nsfw=False)
    ),
    "prompt: tags in braces": check_tags_outside,
    "wildcards: by pattern": lambda text: WILDCARDS.find(text, nsfw=False),
    "prompt: flags": extract_flags,
    "prompt: forms": without_forms,
    "prompt: AND": composes,
    "prompt: infotext": said_in,
    "prompt: any dialect": lambda text: compose(Draft(prompt=text), CATALOG, nsfw=False),
    "prompt: hash": lambda text: known_weights._HASH.findall(text),
    "prompt: embeddings": lambda text: embeddings_of(
        [text], CATALOG, model=MODEL, nsfw=False, adapters=["style-1", "style-2"]
    ),
    "preset: filled in": lambda text: fill(f"{text}{{{{prompt}}|a}}", text),
    "prompt: direction": unicode_text.straight,
    "prompt: control characters": unicode_text.storable,
    "prompt: anything visible": unicode_text.visible,
    "option lora": syntax.parse_adapters,
    "option lora: name": lambda text: find_adapter(CATALOG, text, model=MODEL, nsfw=False),
    "option model": lambda text: find_model(CATALOG, text, nsfw=False),
    "option size": lambda text: syntax.parse_size(text, MODEL.size, MODEL.family),
    "option scheduler": find_scheduler,
    "completion of lora": lambda text: adapter_choices(
        text, CATALOG, SAY, nsfw=False, model="base"
    ),
    "completion of model": lambda text: model_choices(text, CATALOG, nsfw=False),
    "completion of size": lambda text: size_choices(text, MODEL, SAY),
    "completion of scheduler": lambda text: scheduler_choices(text, MODEL.schedulers),
    "completion of preset": lambda text: preset_choices(text, (), MODEL, CATALOG, SAY, nsfw=False),
    "custom_id": Routed.__discord_ui_compiled_template__.fullmatch,
    "custom_id: fields": Pressed.parse,
    "interaction's address": copies._CALLBACK.search,
    "shown: escaped": markdown.escaped,
    "shown: cut": lambda text: markdown.shown(text, len(text) // 2),
    "shown: in a sentence": lambda text: markdown.plain({"value": text, "names": [text] * 3}),
    "log": REDACTING.redacted,
    "log: as JSON": lambda text: AS_JSON.format(record(text)),
    "log: traceback": lambda text: traceback_without(ValueError(text), [text, text[:20]]),
    "image file: parameters": parse_infotext,
    "image file: JPEG": lambda text: jpeg.walk(b"\xff\xd8" + text.encode("utf-16"), 100),
    "image file: XMP": lambda text: orientation.orientation(b"", text.encode()),
    "name of a LoRA": Aliases([Naming("a", "b", "c/d.safetensors", "e")]).find,
    "name of an embedding": CATALOG.embeddings.find,
    "names of files": lambda text: Aliases([Naming("a", text, f"{text}.safetensors", text)]),
    "names in a prompt": lambda text: list(Words([(text[:NAME_MAX], 1)]).find(text * 3 + "!")),
    "names to search": lambda text: Index([(text, text)]).search(text, lambda _: True, 10),
    "nearest name": lambda text: Index([("anime", "b")]).nearest(text, lambda _: True, 10),
    "file name: embedding": plain_name,
    "file name: shard": shards,
    "file name: path": is_hub_id,
    "weight file: header": lambda text: header._parse(text.encode()),
    "weight file: large header": lambda text: parse_large(text.encode(), 1_000),
    "weight file: large strings": lambda text: parse_large(
        json.dumps({"__metadata__": {"a": text}}).encode(), 1_000
    ),
    "weight file: adapter": lambda text: adapter_facts(weights(text).shapes, {}),
    "weight file: embedding": lambda text: embedding.embedding_facts(weights(text)),
    "weight file: bundled": lambda text: embedding.bundled_embeddings(weights(text)),
    "weight file: quantised": lambda text: refusal(weights(text)),
    "weight file: kind": lambda text: unsupported_kind([text, *text.split("\n")], {}),
    "weight file: harmless": is_harmless,
    "weight file: module": tensor_names.split,
    "weight file: module in LoRA": lambda text: tensor_names.split(f"{text}.lora_A.weight"),
    "weight file: spelling": lambda text: Spellings({}).target(text),
    "weight file: base": lambda text: base_models.refined("", weights(text).metadata),
    "weight file: training": told,
    "weight file: pipeline": lambda text: pipeline.kind_of_pipeline(
        {"_class_name": text, "unet": [text, text]}
    ),
    "beside a checkpoint": said_beside,
    "beside a LoRA": lambda text: fields_of(sidecar(text), "a.safetensors"),
    "beside a LoRA: description": lambda text: plain_text(text, 1_000),
    "beside a LoRA: patterns": matched,
    "LoRA file: name": slug,
    "LoRA file: trainer's name": lambda text: output_name({"ss_output_name": text}),
    "LoRA file: line": one_line,
    "LoRA file: cut line": lambda text: clean_line(text, 300),
    "LoRA file: title": lambda text: title({"modelspec.title": text}),
    "LoRA file: weight": lambda text: weight({"modelspec.lora_default_weight": text}),
    "LoRA file: phrase": lambda text: phrase({"modelspec.trigger_phrase": text}),
    "LoRA file: tags": lambda text: frequent_tags({"ss_tag_frequency": text}),
    "setting: list": parts_of,
    "setting: name": lambda text: misspelled([text, f"IMAGEN_{text}"], names_of()),
    "playground: mentions": lambda text: mentions.CODE.sub("", text),
}


def hostile() -> Iterator[Callable[[int], str]]:
    """Functions that make a text of about so many characters."""
    return (partial(_text, *frame, piece) for frame, piece in product(FRAMES, PIECES))


def _text(before: str, after: str, piece: str, length: int) -> str:
    return before + piece * max(1, length // len(piece)) + after


SLOW = {
    "beside a checkpoint",
    "option scheduler",
    "prompt: forms",
    "prompt: without emphasis",
    "prompts joined",
    "shown: escaped",
    "completion of scheduler",
    "names in a prompt",
    "prompt: any dialect",
    "prompt: embeddings",
    "prompt: emphasis",
    "prompt: trigger words",
}


def seconds(read: Reader, text: str, runs: int) -> float:
    """CPU time of this thread, the least of `runs`."""
    least = float("inf")
    for _ in range(runs):
        begin = time.thread_time()
        with suppress(UserError, ValueError, RecursionError, header.NotSafetensors):
            read(text)
        least = min(least, time.thread_time() - begin)
    return least


def grows_too_much(read: Reader, make: Callable[[int], str]) -> bool:
    short, long = make(LENGTH), make(TIMES * LENGTH)
    first = seconds(read, long, 1)
    if first < AT_ONCE or first <= TOO_MUCH * seconds(read, short, 2):
        return False
    # More than once, because what is measured first may have been disturbed.
    return all(seconds(read, long, 2) > TOO_MUCH * seconds(read, short, 4) for _ in range(3))


@pytest.fixture(autouse=True)
def _no_collection_in_between() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in SLOW else ()) for name in READERS],
)
def test_the_time_is_in_proportion_to_the_length(name: str) -> None:
    read = READERS[name]
    found = [make(8) for make in hostile() if grows_too_much(read, make)]
    assert not found


@pytest.mark.parametrize(
    ("pattern", "make"),
    [
        (r":[0-9]+\.?[0-9]*\)", lambda length: ":" + "1" * length),
        (r"(?m)^(\s*)-", lambda length: "a" + "\n" * length),
    ],
)
def test_quadratic_work_is_found(pattern: str, make: Callable[[int], str]) -> None:
    assert grows_too_much(re.compile(pattern).search, make)
