"""Any bytes at all give an ImageInfo, nothing, or a named error; and soon."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.files.image_info import ImageInfo, comfyui, read_info
from bot.files.image_info.containers import KEYWORDS, PNG
from bot.files.image_info.exif import exif_texts
from bot.files.image_info.graph import Graph, Link, Node, before, of_prompt, of_workflow
from bot.files.image_info.infotext import from_infotext
from bot.files.image_info.stealth import stealth_text
from tests.files.image_info import samples, writers
from tests.files.image_info.test_reading import FILES
from tests.parameters import examples
from tests.test_linear import grows_too_much, hostile

DEEP = sys.getrecursionlimit() * 50
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
LINKS = st.sampled_from([["1", 0], ["2", 1], [1, 0], ["1"], ["1", "0"], [None, None]])
WORDS = sorted(
    {key for data in (samples.SWARMUI["sui_image_params"], samples.FOOOCUS) for key in data}
    | {*samples.INVOKEAI, *samples.NOVELAI_COMMENT, "sui_image_params", "sui_models", "image"}
    | {"class_type", "inputs", "nodes", "links", "id", "type", "mode", "widgets_values", "link"}
    | {"name", "model", "positive", "negative", "latent_image", "text", "seed", "caption"}
)
KEYED = st.dictionaries(
    st.sampled_from(WORDS) | st.text(max_size=4),
    st.recursive(
        PLAIN | LINKS,
        lambda inner: (
            st.dictionaries(st.sampled_from(WORDS), inner, max_size=4) | st.lists(inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=8,
)


def read(data: bytes) -> ImageInfo | None:
    try:
        return read_info(data)
    except InvalidRequest:
        return None


@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_a_damaged_file_raises_nothing_but_a_named_error(data: st.DataObject) -> None:
    _, whole = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, min(len(damaged), 2_000) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    read(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))
    stealth_text(bytes(damaged))


@settings(max_examples=examples(100), deadline=None)
@given(value=KEYED, keyword=st.sampled_from(sorted(KEYWORDS)))
def test_any_json_in_any_text(value: Any, keyword: str) -> None:
    read(writers.png({keyword: json.dumps(value)}))
    nested = {"sui_image_params": value, "image": value, "1": value, "nodes": [value]}
    read(writers.png({keyword: json.dumps(nested)}))
    of_prompt(value)
    of_workflow(value)


@settings(max_examples=examples(200), deadline=None)
@given(body=st.binary(max_size=300), head=st.sampled_from([b"II*\0", b"MM\0*", b""]))
def test_any_exif(body: bytes, head: bytes) -> None:
    exif_texts(head + body)


@pytest.mark.parametrize(
    "text", ["[" * DEEP, '{"a":' * DEEP, '{"seed": ' + "9" * 10_000 + "}", '{"seed": NaN}']
)
def test_json_without_end(text: str) -> None:
    for keyword in ("prompt", "parameters", "workflow", "invokeai_metadata", "Comment"):
        assert read(writers.png({keyword: text}) if len(text) < 10**6 else b"") is None


def test_a_graph_in_a_circle() -> None:
    graph: dict[str, Any] = json.loads(json.dumps(samples.COMFYUI_PROMPT))
    for node in ("5", "6", "7", "12", "4", "11", "13"):
        graph[node]["inputs"] |= {"model": ["12", 0], "clip": ["11", 0], "samples": ["14", 0]}
        graph[node]["inputs"] |= {"text": ["6", 0], "width": ["5", 0], "positive": ["6", 0]}
    found = read(writers.png({"prompt": json.dumps(graph)}))
    assert found is not None
    assert (found.program, found.steps) in (("ComfyUI", 25), ("ComfyUI", 12))


def test_a_graph_with_very_many_links() -> None:
    count = 2_000
    graph: dict[str, Any] = {
        str(n): {
            "class_type": "ConditioningCombine",
            "inputs": {f"c{k}": [str((n * 7 + k * 131) % count), 0] for k in range(20)},
        }
        for n in range(count)
    }
    graph["s"] = samples.COMFYUI_PROMPT["3"]
    assert read(writers.png({"prompt": json.dumps(graph)})) is not None


def test_chunks_without_end() -> None:
    empty = writers.chunk(b"tEXt", b"")
    assert read(PNG + empty * 100_000) is None
    whole = writers.png({"parameters": samples.A1111})
    assert read(whole[:33] + empty * 60_000 + whole[33:]) is None, "it is past what is looked at"


def test_each_node_is_looked_at_once() -> None:
    graph = of_prompt(
        {
            "1": {"class_type": "A", "inputs": {"a": ["2", 0], "b": ["3", 0]}},
            "2": {"class_type": "B", "inputs": {"a": ["3", 0], "b": ["1", 0]}},
            "3": {"class_type": "C", "inputs": {"a": ["2", 1], "b": ["9", 0]}},
        }
    )
    assert [node.kind for node in before(graph, [("1", 0)])] == ["A", "B", "C"]


def test_exif_directories_that_point_at_each_other() -> None:
    circle = b"MM\0*" + (8).to_bytes(4, "big")
    circle += bytes.fromhex("0001 8769 0004 00000001 00000008 00000000")
    assert exif_texts(circle) == {}
    # One that leads to a third is more than Exif has: each could be as long as the file.
    chain = b"MM\0*" + (8).to_bytes(4, "big")
    chain += bytes.fromhex("0001 8769 0004 00000001 0000001A 00000000")
    chain += bytes.fromhex("0001 8769 0004 00000001 0000002C 00000000")
    chain += bytes.fromhex("0001 0131 0002 00000004 466F7800 00000000")
    assert exif_texts(chain) == {}
    assert exif_texts(chain[:26] + chain[44:]) == {"Software": "Fox"}


def test_a_length_that_the_pixels_cannot_hold() -> None:
    small = writers.stealth("x" * 200, compressed=False)
    assert stealth_text(small) == "x" * 200
    assert stealth_text(writers.stealth("not gzip")) == "not gzip"


def test_a_graph_with_very_many_samplers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def counted(graph: Graph, links: Iterable[Link]) -> Iterator[Node]:
        nonlocal asked
        asked += 1
        return before(graph, [*links])

    monkeypatch.setattr(comfyui, "before", counted)
    sampler = samples.COMFYUI_PROMPT["3"]
    graph = {
        str(n): {**sampler, "inputs": {**sampler["inputs"], "latent_image": [str(n + 1), 0]}}
        for n in range(1_000)
    }
    assert read(writers.png({"prompt": json.dumps(graph)})) is not None
    assert asked < 100


@pytest.mark.long
@pytest.mark.parametrize("keyword", ["Lora hashes", "Lora weights", "Size", "Model hash"])
def test_the_time_for_a_setting_is_in_proportion_to_its_length(keyword: str) -> None:
    def read_setting(text: str) -> None:
        said = json.dumps(text, ensure_ascii=False)
        settings_line = f"Steps: 1, Sampler: Euler, Seed: 1, {keyword}: {said}"
        from_infotext({"parameters": f"a fox\n{settings_line}"})

    assert not [make(8) for make in hostile() if grows_too_much(read_setting, make)]


def test_names_are_no_longer_than_names() -> None:
    long = "x" * 100_000
    prompt = f"a fox <lora:{long}:1>"
    line = f"Steps: 1, Sampler: {long}, Schedule type: {long}, Seed: 1, Model: {long}"
    found = read(writers.png({"parameters": f"{prompt}\n{line}"}))
    assert found is not None
    assert found.model is not None
    names = (found.sampler, found.schedule, found.model.name, found.loras[0].name)
    assert [len(name) for name in names] == [300] * 4
