"""ℹ️: who is given the mask of a result; no Discord."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import PIL.Image
import pytest

from bot.files.inputs import Inputs
from bot.request import InitImage
from bot.store import Discord, Store
from cogs.details import Details
from tests.store.factories import in_channel, request

MASK = "b" * 64
ENOUGH = 10_000_000


@pytest.mark.parametrize(
    ("mask", "there", "own", "limit", "given"),
    [
        (MASK, True, True, ENOUGH, True),
        (MASK, True, False, ENOUGH, False),
        (MASK, False, True, ENOUGH, False),  # deleted, as inputs are after a while
        (MASK, True, True, 20, False),  # Discord would refuse the whole answer
        (None, True, True, ENOUGH, False),
    ],
)
async def test_a_mask_is_given_to_who_asked_with_it(
    tmp_path: Path, mask: str | None, there: bool, own: bool, limit: int, given: bool
) -> None:
    inputs = Inputs(tmp_path)
    if there:
        PIL.Image.new("L", (8, 8), 255).save(inputs.path(MASK))
    async with Store.open(tmp_path / "x.sqlite3") as store:
        asked = request(init_image=InitImage("a" * 64, 1.0, mask))
        job = await store.accept(in_channel(request=asked))
        person = Discord.of(job.origin).user_id
        user = SimpleNamespace(id=person if own else person + 1)
        pressed = SimpleNamespace(user=user, filesize_limit=limit)
        details = Details(cast("Any", None), cast("Any", SimpleNamespace(inputs=inputs)))
        found = await details._mask_for(cast("Any", pressed), job)
        assert found == (inputs.read(MASK) if given else None)
