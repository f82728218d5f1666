"""What is in an image is what transformers says of it, from checked files in either layout."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.request import DESCRIBE_STYLES, WORDS_MAX, Describe, GenerationRequest
from catalog import Catalog, DescriberEntry
from tests.engine import factories
from tests.engine.factories import paint, picture, request, save
from tests.parameters import mostly_long

SMALL = 96
"""Pixels per side of the image as it is looked at here, which takes less time."""
TAGS = "<GENERATE_TAGS>"


@pytest.fixture(scope="module")
def network() -> Any:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()
    import torch

    torch.set_num_threads(1)
    from tools.untrained import florence2

    return florence2.module()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine import describer

    monkeypatch.setattr(describer, "SIDE", SMALL)
    monkeypatch.setattr(describer, "TOKENS_MAX", dict.fromkeys(DESCRIBE_STYLES, 12))


@pytest.fixture
def folder(network: Any, tmp_path: Path) -> Path:
    from tools.untrained import florence2

    florence2.write(tmp_path / "describer", network)
    return tmp_path / "describer"


def offering(folder: Path, tags: str | None = TAGS) -> Catalog:
    return replace(factories.catalog(), describer=DescriberEntry(path=str(folder), tags=tags))


def wanted(
    style: str = "detailed", size: tuple[int, int] = (90, 60), seed: int = 0
) -> GenerationRequest:
    return GenerationRequest(
        prompt="",
        negative="",
        model="",
        steps=0,
        guidance=0.0,
        seed=0,
        width=size[0],
        height=size[1],
        scheduler="",
        describe=Describe(picture(size, seed), style),
    )


def nothing(*_: object) -> None:
    pass


def told(
    engine: Engine,
    folder: Path,
    style: str = "detailed",
    report: Callable[[Progress], None] = nothing,
    check_stop: Callable[[], None] = nothing,
    **asked: Any,
) -> Painting:
    return paint(engine, wanted(style, **asked), offering(folder), report, check_stop)


def theirs(folder: Path, image: PIL.Image.Image, task: str, most: int) -> str:
    """What transformers' own model and processor say."""
    from transformers import (
        CLIPImageProcessorPil,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    from tools.untrained import florence2

    words = florence2.tokenizer()
    words.add_tokens(["<image>"])
    words.image_token = "<image>"
    sight = CLIPImageProcessorPil(
        size={"height": SMALL, "width": SMALL},
        do_center_crop=False,
        resample=PIL.Image.Resampling.BICUBIC,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    sight.image_seq_length = 1 + (SMALL // 32) ** 2
    words.image_token_id = words.convert_tokens_to_ids("<image>")
    processor = Florence2Processor(sight, words)
    inputs = processor(text=task, images=image, return_tensors="pt")
    model = Florence2ForConditionalGeneration.from_pretrained(folder)
    ids = model.generate(
        **inputs,
        max_new_tokens=most,
        num_beams=3,
        do_sample=False,
        no_repeat_ngram_size=3,
        early_stopping=True,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
    )
    kept = [n for n in ids[0].tolist() if n < len(florence2.WORDS)]
    return " ".join(florence2.tokenizer().decode(kept, skip_special_tokens=True).split())


TASKS = {
    "short": "<CAPTION>",
    "detailed": "<DETAILED_CAPTION>",
    "long": "<MORE_DETAILED_CAPTION>",
    "tags": TAGS,
}


@pytest.mark.parametrize("style", mostly_long([*TASKS], usual=2))
@pytest.mark.usefixtures("small")
def test_it_says_what_transformers_says(fresh: Engine, folder: Path, style: str) -> None:
    asked = wanted(style, (120, 70), seed=5)
    painting = paint(fresh, asked, offering(folder))
    assert asked.describe
    image = factories.opened(asked.describe.sha256).convert("RGB")
    assert painting.words == theirs(folder, image, TASKS[style], 12)
    assert painting.images == ()
    assert fresh.loaded is None


@pytest.mark.usefixtures("small")
def test_the_first_files_say_the_same(fresh: Engine, network: Any, folder: Path) -> None:
    from tools.untrained import florence2

    former = folder.parent / "former"
    florence2.write_former(former, network)
    assert told(fresh, former).words == told(fresh, folder).words


@pytest.mark.usefixtures("small")
def test_the_same_image_gives_the_same_words_and_another_others(
    fresh: Engine, folder: Path
) -> None:
    first, other = told(fresh, folder), told(fresh, folder, seed=9)
    assert first.words
    assert first.words != other.words
    paint(fresh, request())  # which leaves a model there
    again = told(fresh, folder)
    assert (again.words, again.recipe) == (first.words, first.recipe)
    assert first.recipe.describer
    assert first.recipe.describer.name == "describer"
    assert fresh.loaded == "demo"


@pytest.mark.usefixtures("small")
def test_it_reports_each_word_and_stops_between_two(fresh: Engine, folder: Path) -> None:
    seen: list[Progress] = []

    def check_stop() -> None:
        if sum(each.stage is Stage.DESCRIBING for each in seen) > 2:
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        told(fresh, folder, report=seen.append, check_stop=check_stop)
    steps = [(each.step, each.steps) for each in seen if each.stage is Stage.DESCRIBING]
    assert steps == [(1, 12), (2, 12), (3, 12)]


@pytest.mark.usefixtures("network")
def test_words_are_one_line_cut_at_a_word() -> None:
    from bot.engine.describer import in_one_line

    assert in_one_line(" a\n\tred\u202e star \x00") == "a red star"
    long = in_one_line("word " * 1_000)
    assert len(long) <= WORDS_MAX
    assert long.endswith("word")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"architectures": ["AnotherModel"]}, "describer.architectures"),
    ({"auto_map": {"AutoModel": "evil.py"}}, "describer.auto_map"),
    ({"vision_config": {"embed_dim": [9**9] * 4}}, "describer.vision_config.embed_dim"),
    ({"vision_config": None}, "describer.vision_config.config.json"),
    ({"text_config": {"vocab_size": 9**9}}, "describer.text_config.vocab_size"),
    ({"text_config": {"auto_map": {}}}, "describer.text_config.auto_map"),
    ({"text_config": None}, "describer.text_config.config.json"),
]


@pytest.mark.parametrize(("stated", "field"), mostly_long(REFUSED, usual=2))
def test_what_its_configuration_may_not_say_is_refused_by_name(
    fresh: Engine, folder: Path, stated: dict[str, Any], field: str
) -> None:
    config = folder / "config.json"
    said = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**said, **stated}), encoding="utf-8")
    with pytest.raises(JobFailed) as failed:
        told(fresh, folder)
    assert failed.value.code == "describer.configuration"
    assert failed.value.params["field"] == field


def _damage(folder: Path, network: Any, how: str) -> None:
    weights = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    norm = "model.multi_modal_projector.image_proj_norm.bias"
    match how:
        case "only pickles":
            weights.rename(folder / "pytorch_model.bin")
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
        case "other words":
            (folder / "tokenizer.json").write_text(
                '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}', encoding="utf-8"
            )
        case "too many words":
            words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
            words["model"]["vocab"]["far"] = 10**6
            (folder / "tokenizer.json").write_text(json.dumps(words), encoding="utf-8")
        case "another model":
            (folder / "config.json").write_text('{"model_type": "blip"}', encoding="utf-8")
        case "not safetensors":
            weights.write_bytes(b"PK\x03\x04" * 100)
        case "a tensor less":
            del tensors[norm]
            save(weights, tensors)
        case "another shape":
            tensors[norm] = tensors[norm].repeat(2)
            save(weights, tensors)


@pytest.mark.parametrize(
    ("how", "code", "said"),
    mostly_long(
        [
            ("only pickles", "describer.no_safetensors", ""),
            ("no tokenizer", "describer.incomplete", "tokenizer.json"),
            ("other words", "describer.unreadable", "tokenizer.json lacks <s>"),
            ("too many words", "describer.unreadable", "the network knows"),
            ("another model", "describer.other", ""),
            ("not safetensors", "describer.not_safetensors", "model.safetensors"),
            ("a tensor less", "describer.incomplete", "image_proj_norm.bias"),
            ("another shape", "describer.unreadable", "(32,) instead of (16,)"),
        ],
        usual=3,
    ),
)
@pytest.mark.usefixtures("small")
def test_files_that_cannot_be_used_are_an_error(
    fresh: Engine, folder: Path, network: Any, how: str, code: str, said: str
) -> None:
    _damage(folder, network, how)
    with pytest.raises(JobFailed) as failed:
        told(fresh, folder)
    assert failed.value.code == code
    assert any(said in str(value) for value in failed.value.params.values())
