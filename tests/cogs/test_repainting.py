"""↔️ and 🖌️: which images and parts may be asked for, and what becomes of it; no Discord."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import PIL.Image
import pytest

from bot.chat.ui.actions import ExtendId, PartId
from bot.chat.ui.extending import ExtendById
from bot.chat.ui.repainting import PartFormId, PartOfId, PartSquaresId
from bot.errors import InvalidRequest, Refused
from bot.files.inputs import Inputs
from bot.request import CRISP, Area, Axis, Comparison, Upscale
from bot.store import Discord, Job, JobState
from catalog import Catalog, ModelEntry
from catalog.families.sdxl import SDXL
from cogs.extend_result import ExtendButton, ExtendSelect
from cogs.repaint_part import (
    PartButton,
    PartForm,
    PartOfSelect,
    PartPainter,
    PartSquaresSelect,
)
from cogs.result_pictures import ResultPictures
from cogs.results import Results
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import http_error
from tests.cogs.test_results import PLAIN, Picked, Pressed, results, shown


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


@pytest.fixture
def pictures(desk: Desk, tmp_path: Path) -> ResultPictures:
    return ResultPictures(desk.store, Inputs(tmp_path / "inputs"), desk.images)


def entered(**fields: str) -> dict[str, Any]:
    """The data of a form."""
    return {
        "components": [
            {"type": 18, "component": {"type": 4, "custom_id": name, "value": value}}
            for name, value in fields.items()
        ]
    }


async def pick(
    desk: Desk, pictures: ResultPictures, job: Job, value: str, acting: Results | None = None
) -> Picked:
    picked = Picked(desk, {"values": [value]})
    select = ExtendSelect(acting or results(desk), pictures, 4)
    await select.use(cast("Any", picked), ExtendById(job.id))
    return picked


OWL = {"prompt": "an owl", "strength": "1", "area": "whole"}


async def submit(desk: Desk, pictures: ResultPictures, form: PartFormId, **fields: str) -> Picked:
    picked = Picked(desk, entered(**{**OWL, **fields}))
    painter = PartPainter(results(desk), pictures, 4)
    await PartForm(painter).use(cast("Any", picked), form)
    return picked


async def queued(desk: Desk) -> Job:
    [made] = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    return made


async def test_what_was_picked_is_extended(desk: Desk, pictures: ResultPictures) -> None:
    job = await shown(desk, asked=replace(PLAIN, count=2))
    picked = await pick(desk, pictures, job, "1 left")
    made = await queued(desk)
    assert (made.kind, made.parent_id, made.request.count) == ("extend", job.id, 1)
    init = made.request.init_image
    assert init is not None
    assert (init.mask, init.strength) == (None, 1.0)
    images = await desk.store.images(job.id)
    own = (images[1].width, images[1].height)
    assert init.box is not None
    assert (init.box.width / own[0], init.box.height / own[1]) == pytest.approx((1, 1), rel=0.1)
    assert pictures.inputs.path(init.sha256).is_file()
    # Its place in line is a message of its own, since the question vanishes.
    assert desk.world.ways() == ["send"]
    assert desk.last("send").sent["reference"].message_id == Discord.of(job.origin).message_id
    assert picked.gone


async def test_a_part_becomes_a_mask_of_the_images_size(
    desk: Desk, pictures: ResultPictures
) -> None:
    job = await shown(desk, asked=replace(PLAIN, count=2))
    picked = await submit(desk, pictures, PartFormId.of(job.id, 1, ["D4"]), strength=" 0,5 ")
    made = await queued(desk)
    assert (made.kind, made.parent_id) == ("part", job.id)
    assert made.request.prompt == "an owl"
    assert made.request.seed not in (PLAIN.seed, PLAIN.seed + 1)
    init = made.request.init_image
    assert init is not None
    assert init.mask is not None
    assert (init.box, init.strength) == (None, 0.5)
    [_, image] = await desk.store.images(job.id)
    with PIL.Image.open(pictures.inputs.path(init.mask)) as mask:
        assert mask.size == (image.width, image.height)
        across, down = image.width * 3 // 4, image.height * 3 // 4
        assert mask.getbbox() == (across, down, image.width, image.height)
    assert picked.gone


@pytest.mark.parametrize(("area", "padding"), [("masked", 32), ("whole", None), ("", None)])
async def test_a_part_may_be_painted_alone(
    desk: Desk, pictures: ResultPictures, area: str, padding: int | None
) -> None:
    """Empty in a form that was opened before there was a choice."""
    job = await shown(desk)
    await submit(desk, pictures, PartFormId.of(job.id, 0, ["D4"]), area=area)
    init = (await queued(desk)).request.init_image
    assert init is not None
    [image] = await desk.store.images(job.id)
    alone = padding and Area(padding, image.width, image.height)
    assert init.area == alone


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"strength": "nan"}, "strength: nan won't work. Choose a value from 0.05 to 1.0."),
        ({"strength": "lots"}, "strength: “lots” isn't a number."),
        ({"prompt": " "}, "The prompt is empty."),
        ({"area": "half"}, "inpaint_area: “half” won't work. Choose whole or masked."),
        ({"prompt": "a fox <lora:nope:1>"}, "There's no LoRA called “nope”"),
    ],
)
async def test_a_mistake_costs_nothing_that_was_entered(
    desk: Desk, pictures: ResultPictures, fields: dict[str, str], said: str
) -> None:
    job = await shown(desk)
    form = PartFormId.of(job.id, 0, ["A1", "B2"])
    await submit(desk, pictures, form, **fields)
    answer = desk.last("ack").sent
    assert answer["ephemeral"]
    assert said in answer["content"]
    [button] = answer["view"].children
    kept = await desk.store.forms.find(button.item.custom_id.split(":")[1], job.person)
    assert kept is not None
    assert PartFormId.parse(kept.of) == form
    assert kept.fields == {**OWL, **fields}
    assert await desk.store.jobs_in(JobState.PENDING, ("discord",)) == []
    assert await pictures.inputs.stored() == []


async def test_what_is_refused_leaves_no_input(desk: Desk, pictures: ResultPictures) -> None:
    job = await shown(desk)
    desk.world.refuse("send", http_error(403, 50013))
    with pytest.raises(Refused, match=r"delivery\.forbidden"):
        await pick(desk, pictures, job, "0 zoom 2")
    assert await desk.store.jobs_in(JobState.PENDING, ("discord",)) == []
    assert await pictures.inputs.stored() == []


@pytest.mark.parametrize("value", ["", "0", "0 zoom 3", "0 9", "1 left", "x left", "0 left, right"])
async def test_a_way_that_was_not_offered_is_refused(
    desk: Desk, pictures: ResultPictures, value: str
) -> None:
    job = await shown(desk)
    with pytest.raises(Refused, match=r"error\.component"):
        await pick(desk, pictures, job, value)
    assert desk.world.calls == []


async def test_fields_that_were_not_offered_are_refused(
    desk: Desk, pictures: ResultPictures
) -> None:
    job, painter = await shown(desk), PartPainter(results(desk), pictures, 4)
    for values in ([], ["E1"], ["A1", ""]):
        pressed = cast("Any", Pressed(desk, {"values": values}))
        with pytest.raises(Refused, match=r"error\.component"):
            await PartSquaresSelect(painter).use(pressed, PartSquaresId(job.id, 0))
    for value in ("", "-1", "²", "x"):
        pressed = cast("Any", Pressed(desk, {"values": [value]}))
        with pytest.raises(Refused, match=r"error\.component"):
            await PartOfSelect(painter).use(pressed, PartOfId(job.id))
    with pytest.raises(Refused, match=r"error\.component"):
        await submit(desk, pictures, PartFormId(job.id, 0, "0"))
    assert desk.world.calls == []


async def test_an_image_whose_file_is_gone_says_so(desk: Desk, pictures: ResultPictures) -> None:
    job = await shown(desk)
    for image in await desk.store.images(job.id):
        (desk.images / image.path).unlink()
    with pytest.raises(Refused, match=r"action\.pruned"):
        await pick(desk, pictures, job, "0 left")
    painter = PartPainter(results(desk), pictures, 4)
    pressed = cast("Any", Picked(desk, {"values": ["1"]}))
    with pytest.raises(Refused, match=r"action\.pruned"):
        await PartOfSelect(painter).use(pressed, PartOfId(job.id))


CELLS = Comparison((Axis("steps", ("10", "20")),), (PLAIN, replace(PLAIN, steps=20)))
OTHERS = {
    "a sheet": (replace(PLAIN, comparison=CELLS), "action.open_first"),
    "an enlarged image": (
        replace(PLAIN, upscale=Upscale("a" * 64, "sharp", 2.0, CRISP)),
        "action.enlarged",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
async def test_others_are_refused_at_every_step(
    desk: Desk, pictures: ResultPictures, kind: str
) -> None:
    asked, code = OTHERS[kind]
    job = replace(await shown(desk), request=asked)
    acting = results(desk)

    async def usable(*_: object) -> Job:
        return job

    acting.usable = usable  # type: ignore[method-assign, assignment]
    painter = PartPainter(acting, pictures, 4)
    with pytest.raises(Refused, match=code):
        await ExtendButton(acting, pictures).use(cast("Any", Pressed(desk)), ExtendId(job.id))
    with pytest.raises(Refused, match=code):
        await pick(desk, pictures, job, "0 left", acting)
    with pytest.raises(Refused, match=code):
        await PartButton(painter).use(cast("Any", Pressed(desk)), PartId(job.id))
    with pytest.raises(Refused, match=code):
        await painter.submit(cast("Any", Pressed(desk)), PartFormId.of(job.id, 0, ["A1"]), {})


async def test_a_button_from_before_the_model_changed_says_what_it_cannot(
    desk: Desk, pictures: ResultPictures
) -> None:
    plain = replace(SDXL, name="Plain", takes_image=False)
    entry = ModelEntry(key="demo", name="Demo", path="a/b", family=plain)
    job, acting = await shown(desk), results(desk)
    cast("Any", acting.catalog).current = Catalog({"demo": entry}, {}, "demo")
    with pytest.raises(InvalidRequest, match=r"family\.image"):
        await pick(desk, pictures, job, "0 left", acting)
    assert desk.world.calls == []
