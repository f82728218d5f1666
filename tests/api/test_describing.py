"""What is said of an image and of the catalog over HTTP, without HTTP."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bot.api.describing import metadata, share, status
from bot.api.describing import record as described
from bot.api.openai.answering import image_body
from bot.api.original.bodies import Generate
from bot.api.original.further_bodies import Compare
from bot.api.records import FILES
from bot.progress import Notice, Progress, Stage
from bot.recipe import Weights
from bot.request import (
    Area,
    Axis,
    Comparison,
    ControlUse,
    DetailUse,
    GenerationRequest,
    Hires,
    InitImage,
    Upscale,
    Variation,
    compose,
)
from bot.request.controlling import parse_controls
from bot.request.parts import Box
from bot.store import ImageRecord, Job, JobState, given_images
from catalog import Catalog, ModelEntry
from tests.language import TEXTS
from tests.store.factories import any_job, recipe, record, request

SAY = TEXTS.speaker()
PARTIAL: dict[str, Any] = {"adapter": "ink", "matched": 5, "total": 9}
CATALOG = Catalog({"demo": ModelEntry(key="demo", name="Demo", path="a/b")}, {}, "demo")


def test_all_weights_of_an_image_are_told_by_their_hashes() -> None:
    vae, encoder = (Weights(f"/home/anna/{n}", n * 64, n * 10) for n in "ab")
    hashes = metadata(recipe(), 1)["hashes"]
    whole = metadata(replace(recipe(), vae=vae, text_encoder=encoder), 1)["hashes"]
    assert whole == {**hashes, "vae": "a" * 64, "text_encoder": "b" * 64}


def test_a_variation_is_told_with_the_seed_that_it_varies() -> None:
    asked = request(seed=12, count=2, variation=Variation(7, 0.25))
    job, images = any_job(asked, recipe=recipe(asked)), [record(n, seed=12 + n) for n in range(2)]
    expected = [(7, "12:0.25"), (7, "13:0.25")]
    found = status(job, None, images, SAY)
    assert [(each["seed"], each["variation"]) for each in found["images"]] == expected
    kept = described(job, images, SAY)
    assert [(each["seed"], each["variation"]) for each in kept["images"]] == expected
    openai = [image_body(job, image.seed) for image in images]
    assert [(each.seed, each.variation) for each in openai] == expected
    # What is told of an image asks for it again.
    for each, seed in zip(kept["images"], (12, 13), strict=True):
        body = Generate(prompt="a", seed=each["seed"], variation=each["variation"])
        again = compose(body.draft(), CATALOG, nsfw=False)
        assert (again.seed, again.variation) == (seed, asked.variation)
    told = metadata(recipe(asked), 13)
    assert (told["seed"], told["variation"]) == expected[1]


CELLS = tuple(request(seed=seed, steps=steps) for seed in (42, 43) for steps in (2, 3))
SHEET = request(
    comparison=Comparison((Axis("steps", ("2", "3")), Axis("seed", ("42", "43"))), CELLS)
)


def of_sheet(*numbers: int, **fields: Any) -> tuple[Job, tuple[ImageRecord, ...]]:
    """A comparison, and what its caller is given of the images with these numbers."""
    values: dict[str, Any] = {"recipe": recipe(SHEET), "state": JobState.DELIVERED, **fields}
    job, seeds = any_job(SHEET, **values), (42, 42, 43, 43, 42)
    return job, given_images(job, [record(n, seed=seeds[n]) for n in numbers])


def test_a_comparison_is_told_with_its_sheet_first_and_what_varies_in_each_cell() -> None:
    job, images = of_sheet(0, 1, 3, 4)  # one of them has failed
    told = [
        ("/image/{}/5", 42, None),
        ("/image/{}/1", 42, ["2", "42"]),
        ("/image/{}/2", 42, ["3", "42"]),
        ("/image/{}/4", 43, ["3", "43"]),
    ]
    for found in (status(job, None, images, SAY), described(job, images, SAY)):
        assert [(each["url"], each["seed"], each["cell"]) for each in found["images"]] == [
            (url.format(job.id), seed, cell) for url, seed, cell in told
        ]
    assert metadata(recipe(SHEET), 42)["axes"] == ["steps", "seed"]
    assert "axes" not in metadata(recipe(CELLS[0]), 42)


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.FAILED])
def test_nothing_is_given_of_one_that_was_not_finished(state: JobState) -> None:
    assert of_sheet(0, 1, state=state)[1] == ()


def test_what_several_cells_have_is_said_once() -> None:
    notes = tuple(Notice("adapter.partial", {**PARTIAL, "cell": n}) for n in (0, 1))
    job, images = of_sheet(0, 1, 2, 3, 4, warnings=notes)
    assert len(status(job, None, images, SAY)["warnings"]) == 1
    [told] = described(job, images, SAY)["warnings"]
    assert told["params"] == PARTIAL


def test_an_enlargement_is_told() -> None:
    asked = request(upscale=Upscale("a" * 64, "sharp", 2.0, "repaint", 0.3))
    told = metadata(recipe(asked), 42)
    assert {name: told[name] for name in ("upscaler", "scale", "mode", "strength")} == {
        "upscaler": "sharp",
        "scale": 2.0,
        "mode": "repaint",
        "strength": 0.3,
    }
    assert "upscaler" not in metadata(recipe(), 42)


def test_without_one_nothing_is_said_of_it() -> None:
    job = any_job(request(), recipe=recipe())
    for told in (status(job, None, [record()], SAY), described(job, [record()], SAY)):
        assert "variation" not in told["images"][0]
    assert "variation" not in metadata(recipe(), 42)


@pytest.mark.parametrize(
    ("init", "told"),
    [
        (InitImage("a" * 64, 0.6), {}),
        (InitImage("a" * 64, 0.6, mask="b" * 64), {"strength": 0.6, "masked": True}),
        (
            InitImage("a" * 64, 1.0, box=Box(16, 0, 48, 64)),
            {"strength": 1.0, "masked": False, "extend": "48x64+16+0"},
        ),
        (
            InitImage("a" * 64, 0.5, mask="b" * 64, area=Area(8, 900, 700)),
            {"strength": 0.5, "masked": True, "inpaint_area": "masked", "inpaint_padding": 8},
        ),
    ],
)
def test_what_was_kept_of_an_image_is_told(init: InitImage, told: dict[str, Any]) -> None:
    found = metadata(recipe(request(init_image=init)), 42)
    names = ("strength", "masked", "extend", "inpaint_area", "inpaint_padding")
    assert {name: value for name, value in found.items() if name in names} == told


def test_what_followed_an_image_is_told_as_it_is_asked_for() -> None:
    uses = (
        ControlUse("canny", "a" * 64, "canny", 0.8, 0.0, 0.6),
        ControlUse("union", "b" * 64, "depth", is_map=True),
    )
    asked = request(controls=uses)
    weights = tuple(Weights(use.key, use.sha256, "d" * 10) for use in uses)
    depth = Weights("org/depth", "e" * 64, "e" * 10)
    told = metadata(replace(recipe(asked), controls=weights, depth=depth), 42)
    assert told["control"] == "canny/canny:0.8 until 60%, union/depth:1 as map"
    assert [(ask.name, ask.weight, ask.end) for ask in parse_controls(told["control"])] == [
        ("canny/canny", 0.8, 0.6),
        ("union/depth", 1.0, 1.0),
    ]
    hashes = {"canny": "a" * 64, "union": "b" * 64, "[depth]": "e" * 64}
    assert hashes.items() <= told["hashes"].items()
    assert "control" not in metadata(recipe(), 42)


def test_what_is_followed_is_given_like_other_images() -> None:
    sent = {"control": "canny:0.8", "control_image": "A" * 64, "control_image2": "AAAA"}
    body = Generate.model_validate({"prompt": "a", **sent})
    assert body.draft().control == "canny:0.8"
    assert body.pictures() == {"control_image": "a" * 64, "control_image2": b"\0\0\0"}
    compared = Compare.model_validate({"prompt": "a", "axis": "steps", "values": "4, 8", **sent})
    assert (compared.comparison().draft.control, compared.pictures()) == (
        "canny:0.8",
        body.pictures(),
    )
    assert Generate(prompt="a").draft().control is None
    assert Generate(prompt="a").pictures() == {}


@pytest.mark.parametrize("field", ["values", "values2"])
def test_values_have_an_end(field: str) -> None:
    asked = {"prompt": "a", "axis": "steps", "axis2": "seed"}
    assert getattr(Compare.model_validate({**asked, field: 4}), field) == "4"
    Compare.model_validate({**asked, field: "1" * 6_000})
    with pytest.raises(ValidationError) as caught:
        Compare.model_validate({**asked, field: "1" * 6_001})
    assert [error["type"] for error in caught.value.errors()] == ["string_too_long"]


def test_where_the_files_of_a_model_are_is_only_told_to_the_owner() -> None:
    places = {name for name in ModelEntry.model_fields if name.endswith("path")}
    assert places == {"path", "vae_path", "text_encoder_path"}
    assert places < {*FILES}


@pytest.mark.parametrize(
    ("given", "typed"), [(None, None), ("12:0.2", "12:0.2"), (0.2, "0.2"), (1, "1")]
)
def test_a_variation_may_be_a_number(given: object, typed: str | None) -> None:
    body = Generate.model_validate({"prompt": "a", "variation": given})
    assert body.draft().variation == typed


@pytest.mark.parametrize("given", [True, [0.2]])
def test_but_nothing_else(given: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Generate.model_validate({"prompt": "a", "variation": given})
    assert [error["loc"] for error in caught.value.errors()] == [("variation",)]


def reports(asked: GenerationRequest, parts: int) -> list[Progress]:
    """What the engine reports of the images of a request, pass by pass."""
    found = []
    for image in range(asked.count):
        here = Progress(Stage.PAINTING, image=image + 1, count=asked.count)
        passes = [replace(here, steps=4)]
        passes += [replace(here, steps=2, larger=True)] if asked.hires else []
        passes += [replace(here, steps=3, part=n + 1, parts=parts) for n in range(parts)]
        for each in passes:
            found += [replace(each, step=step) for step in range(each.steps + 1)]
            found.append(replace(each, stage=Stage.DECODING, step=each.steps))
    return found


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("hires", [None, Hires(1.5, 0.5, 4)])
@pytest.mark.parametrize(("detail", "parts"), [((), 0), (("face",), 0), (("face", "hand"), 3)])
def test_what_is_done_never_becomes_less(
    count: int, hires: Hires | None, detail: tuple[str, ...], parts: int
) -> None:
    asked = request(count=count, hires=hires, detail=tuple(map(DetailUse, detail)))
    job = any_job(asked, state=JobState.RUNNING)
    done = [share(job, each) for each in reports(asked, parts)]
    assert done == sorted(done)
    assert done[0] == 0.0
    assert len({*done}) > len(done) / 2
    # Whether anything is found is known only when all else is done.
    assert done[-1] == (1.0 if parts or not detail else 1 - 0.2 / count)


def test_of_an_image_that_is_enlarged_each_tile_is_a_part() -> None:
    job = any_job(
        request(upscale=Upscale("a" * 64, "general", 2.0, "repaint", 0.3)), state=JobState.RUNNING
    )
    tiles = [
        Progress(stage, step=step, steps=8, larger=True)
        for tile in range(4)
        for stage, step in (
            *((Stage.PAINTING, 2 * tile + n) for n in range(3)),
            (Stage.DECODING, 2 * tile + 2),
        )
    ]
    done = [share(job, each) for each in tiles]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0.5, 1.0)
