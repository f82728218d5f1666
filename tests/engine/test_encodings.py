"""Encoded texts in RAM: the same bytes as without, and the text encoders stay asleep."""

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import EmbeddingUse, GenerationRequest
from catalog import Catalog, EmbeddingEntry, Embeddings
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    request,
    resident,
    save,
)
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


ENCODERS = ("text_encoder", "text_encoder_2")
WIDTHS = (32, 48)


@pytest.fixture
def painters(models_dir: Path, tmp_path: Path) -> Iterator[Any]:
    """Makes engines: with a memory profile; remembering texts, or not."""
    made: list[Engine] = []

    def make(memory: str = "full", *, remembering: bool = True) -> Engine:
        from bot.engine.encodings import Encodings

        hashes = tmp_path / "hashes.json"
        engine = Engine(models_dir=models_dir, hashes_file=hashes, memory=memory)
        engine.warm_up()
        if not remembering:
            pipeline_of(engine)._encodings = Encodings(0)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def pipeline_of(engine: Engine) -> Any:
    return engine._pipeline


def learned(path: Path, seed: int) -> Path:
    import torch

    noise = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(2, width, generator=noise) for width in WIDTHS)
    return save(path, {"clip_l": first, "clip_g": second})


def changed_config(models: Path, name: str, file: str, **fields: Any) -> str:
    """A copy of the tiny model that differs only in a JSON file; returns its path."""
    folder = models / name
    if not folder.exists():
        shutil.copytree(models / TINY, folder)
        path = folder / file
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**config, **fields}), encoding="utf-8")
    return name


def offering(models_dir: Path, folder: Path) -> Catalog:
    """Models, LoRAs and embeddings that differ in one thing each."""
    sharp = changed_config(models_dir, "sharp", "text_encoder/config.json", hidden_act="gelu")
    padded = changed_config(
        models_dir, "padded", "tokenizer_2/tokenizer_config.json", pad_token="<|endoftext|>"
    )
    words = {
        key: EmbeddingEntry(key=key, name=key, path=str(learned(folder / f"{key}.safetensors", n)))
        for n, key in enumerate(("wort", "kraut"))
    }
    loras: dict[str, Any] = {
        "a": kohya_lora(folder / "a.safetensors", seed=1),
        "b": kohya_lora(folder / "b.safetensors", seed=2),
        "unet": kohya_lora(folder / "unet.safetensors", seed=3, text=False),
    }
    offered = catalog([model("sharp", sharp), model("padded", padded)], **loras)
    return replace(offered, embeddings=Embeddings(words))


def using(text: str, *keys: str, **fields: Any) -> GenerationRequest:
    """A request in which each word of `keys` stands for another embedding, the first for "wort"."""
    uses = tuple(EmbeddingUse(key, key) for key in keys)
    return request(*fields.pop("loras", ()), prompt=text, embeddings=uses, **fields)


PLAIN = "a fox in the snow"
DIFFERENT: Mapping[str, tuple[GenerationRequest, GenerationRequest]] = {
    "the text": (request(), request(prompt="a castle")),
    "its order": (request(prompt="a fox snow"), request(prompt="snow fox a")),
    "the negative text": (request(negative="noise"), request(negative="snow")),
    "a weight in the text": (request(), request(prompt="a (fox:1.4) in the snow")),
    "the layer": (request(), request(clip_skip=3)),
    "the weights of the encoders": (request(), request(model="other")),
    "their configuration": (request(), request(model="sharp")),
    "a tokenizer": (request(), request(model="padded")),
    "an adapter": (request(), request(("a", 1.0))),
    "which adapter": (request(("a", 1.0)), request(("b", 1.0))),
    "its weight": (request(("a", 1.0)), request(("a", 0.5))),
    "a second adapter": (request(("a", 1.0)), request(("a", 1.0), ("b", 1.0))),
    "an embedding": (request(prompt="wort"), using("wort", "wort")),
    "which embedding": (using("wort", "wort"), using("kraut", "kraut")),
    "where it stands": (using("wort, a", "wort"), using("a, wort", "wort")),
}
"""What a text's encoding depends on → two requests that differ in nothing else."""


@pytest.mark.parametrize("what", mostly_long(DIFFERENT, usual=4))
def test_everything_that_it_depends_on_counts(
    painters: Any, models_dir: Path, tmp_path: Path, what: str
) -> None:
    offered = offering(models_dir, tmp_path)
    one, other = DIFFERENT[what]
    plain = painters(remembering=False)
    expected = [digests(paint(plain, each, offered)) for each in (one, other)]
    assert expected[0] != expected[1]
    remembering = painters()
    found = [digests(paint(remembering, each, offered)) for each in (one, other, one)]
    assert found == [*expected, expected[0]]


@pytest.mark.long
@pytest.mark.parametrize("encoder", [0, 1])
def test_each_encoders_vectors_count(
    painters: Any, models_dir: Path, tmp_path: Path, encoder: int
) -> None:
    """The file of an embedding is replaced by one that differs for one encoder only."""
    from safetensors.torch import load_file

    offered = offering(models_dir, tmp_path)
    plain, remembering = painters(remembering=False), painters()
    wanted = using("wort", "wort")
    seen = []
    for _ in range(2):
        expected = digests(paint(plain, wanted, offered))
        assert digests(paint(remembering, wanted, offered)) == expected
        seen.append(expected)
        tensors = load_file(tmp_path / "wort.safetensors")
        name = ("clip_l", "clip_g")[encoder]
        tensors[name] = tensors[name].flip(0).clone()
        (tmp_path / "wort.safetensors").unlink()
        save(tmp_path / "wort.safetensors", {**tensors, "note": tensors[name].new_zeros(1)})
    assert seen[0] != seen[1]


def any_request(chance: random.Random) -> GenerationRequest:
    """One of so few that a sequence repeats itself."""
    loras = chance.choice(
        [(), (("a", 1.0),), (("a", 0.4), ("b", 0.8)), (("b", 0.8), ("a", 0.4)), (("unet", 1.0),)]
    )
    text = chance.choice([PLAIN, "a (fox:1.3) BREAK snow", "wort, a fox", "a castle, wort, kraut"])
    wanted = using(
        text,
        *chance.choice([("wort",), ("kraut", "wort"), ()]),
        loras=loras,
        model=chance.choice(["demo", "demo", "other", "sharp"]),
        clip_skip=chance.choice([None, 1, 3, 40]),
        guidance=chance.choice([1.0, 5.0]),
        negative=chance.choice(["", "noise", "noise, wort"]),
        seed=chance.choice([1, 2]),
        steps=1,
    )
    on_text = chance.choice([None, 0.0, 0.6])
    return replace(
        wanted, adapters=tuple(replace(use, text_weight=on_text) for use in wanted.adapters)
    )


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("memory", ["full", "11gb", "8gb"])
@pytest.mark.long
def test_any_sequence_gives_the_bytes_and_the_notices_of_no_memory(
    painters: Any, models_dir: Path, tmp_path: Path, memory: str, seed: int
) -> None:
    offered = offering(models_dir, tmp_path)
    chance = random.Random(seed)
    remembering, plain = painters(memory), painters(memory, remembering=False)

    def outcome(engine: Engine, wanted: GenerationRequest) -> Any:
        try:
            painting = paint(engine, wanted, offered)
        except JobFailed as failure:
            return failure.code
        return digests(painting), painting.warnings, painting.recipe

    for number in range(24):
        if number == 12:  # the file is replaced
            kohya_lora(tmp_path / "a.safetensors", seed=9)
        wanted = any_request(chance)
        assert outcome(remembering, wanted) == outcome(plain, wanted), (number, wanted)
    assert not pipeline_of(plain)._encodings.nbytes


AGAIN: Mapping[str, GenerationRequest] = {
    "a reroll": request(("a", 1.0), negative="noise"),
    "a new seed": request(("a", 1.0), negative="noise", seed=12),
    "another size": request(("a", 1.0), negative="noise", width=72),
    "a text with other weights": request(("a", 1.0), negative="noise", prompt=f"({PLAIN}:1.3)"),
    "both texts exchanged": request(("a", 1.0), negative=PLAIN, prompt="noise"),
    "without guidance": request(("a", 1.0), guidance=1.0),
    "with an adapter of the denoiser": request(("a", 1.0), ("unet", 0.5), negative="noise"),
}
"""Requests whose texts are known after the first one."""


@pytest.mark.long
@pytest.mark.parametrize("memory", ["full", "11gb", "8gb"])
def test_a_known_text_wakes_no_encoder(
    painters: Any,
    models_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory: str,
) -> None:
    from bot.engine.weights import Part

    offered = offering(models_dir, tmp_path)
    engine = painters(memory)
    paint(engine, AGAIN["a reroll"], offered)
    parts = [resident(engine).parts[name] for name in ENCODERS]
    runs: list[Any] = []
    changed: list[Any] = []
    for part in parts:
        part.module.register_forward_pre_hook(lambda module, _: runs.append(module))
    for name in ("wake", "park"):
        real = getattr(Part, name)

        def noted(part: Any, *given: Any, real: Any = real) -> None:
            changed.append(part)
            real(part, *given)

        monkeypatch.setattr(Part, name, noted)
    for what, wanted in AGAIN.items():
        paint(engine, wanted, offered)
        assert not runs, what
        assert not any(part in changed for part in parts), what
        assert all(part.present is (memory == "full") for part in parts), what
    paint(engine, request(("a", 1.0), prompt="a castle", negative="noise"), offered)
    assert len(runs) == 2, "the new text, by both encoders; not the known one"
    assert all(part in changed for part in parts)


@pytest.mark.long
def test_a_model_that_comes_back_needs_no_encoder_on_a_small_card(
    painters: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import Part

    engine = painters("11gb")
    expected = digests(paint(engine, request()))
    paint(engine, request(model="other"))
    woken: list[Any] = []
    real = Part.wake

    def wake(part: Any, check_stop: Any) -> None:
        woken.append(part)
        real(part, check_stop)

    monkeypatch.setattr(Part, "wake", wake)
    assert digests(paint(engine, request())) == expected
    assert resident(engine).parts["unet"] in woken
    assert not any(resident(engine).parts[name] in woken for name in ENCODERS)


class Sleeper:
    """A model of no particular family."""

    key = "any"

    def __init__(self) -> None:
        self.woken = 0
        self.family = self
        self.patched: tuple[str, ...] = ()
        self.text_encoders = ("reader",)
        self.shapes = {"reader": "small"}
        self.parts = {"reader": self}
        self.digest = "0"

    def wake(self, check_stop: Any, *names: str) -> None:
        assert names == ("reader",)
        self.woken += 1


def recalling(limit: int) -> Any:
    """A cache, and a function that encodes a number as 100 bytes; it tells whether it had to."""
    import torch

    from bot.engine.encodings import Encodings

    encodings = Encodings(limit)
    sleeper: Any = Sleeper()

    def ask(number: float) -> bool:
        ran = []

        def encode() -> Any:
            ran.append(number)
            return (torch.full((25,), float(number)),)

        recall = encodings.recall(sleeper, (), "cpu", lambda: None)
        (tensor,) = recall(number, encode)
        assert str(tensor[0].item()) == str(float(number))
        return bool(ran)

    return encodings, sleeper, ask


def test_the_least_recently_used_makes_room() -> None:
    encodings, sleeper, ask = recalling(limit=250)
    assert [ask(number) for number in (1, 2, 1, 3, 1, 2, 1)] == [
        *(True, True, False, True, False, True, False)
    ]
    assert encodings.nbytes == 200
    assert sleeper.woken == 4


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    encodings, _, ask = recalling(limit=99)
    assert ask(1)
    assert ask(1)
    assert encodings.nbytes == 0


def test_numbers_that_are_none_are_not_kept() -> None:
    encodings, _, ask = recalling(limit=1000)
    assert ask(float("nan"))
    assert ask(float("inf"))
    assert ask(float("inf"))
    assert encodings.nbytes == 0


def test_what_is_kept_is_a_copy() -> None:
    import torch

    encodings, sleeper, _ = recalling(limit=1000)
    given = torch.zeros(3)
    for _ in range(2):
        recall = encodings.recall(sleeper, (), "cpu", lambda: None)
        (found,) = recall("text", lambda: (given,))
        given.add_(1)
    assert found.tolist() == [0, 0, 0]
