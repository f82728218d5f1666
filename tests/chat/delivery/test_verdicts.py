"""What is said of a result that was generated again."""

from dataclasses import replace
from typing import Any

from bot.progress import Notice
from bot.store import ELSEWHERE, Job, Store
from tests.chat.delivery.desk import Desk
from tests.store.factories import in_channel, recipe, request


class TestVerdicts:
    async def reroll_of(self, desk: Desk, parent: Job) -> Job:
        new = in_channel(
            request=parent.request, kind="reroll", parent_id=parent.id, reply_to=300, user_id=9
        )
        return await desk.painted((await desk.accepted(new)).job.id)

    async def said(self, desk: Desk, job: Job) -> str:
        await desk.delivery.finished(job)
        return desk.last("send").words

    async def test_the_same_pixels(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted(in_channel(request=request(count=2)))
        said = await self.said(desk, await self.reroll_of(desk, parent))
        assert "Identical to the original" in said

    async def test_other_pixels_for_a_known_reason(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        job = await self.reroll_of(desk, parent)
        [image] = await desk.store.images(job.id)
        other = replace(recipe(), environment={"torch": "9.9"}, scheduler={})
        changed = await self.changed(desk, job, recipe=other, pixels="0" * 64)
        said = await self.said(desk, changed)
        assert "differ" in said
        assert "torch" in said
        assert "scheduler" in said
        assert image.sha256

    async def test_other_pixels_of_another_machine(self, desk: Desk) -> None:
        """That is said once, with what is different."""
        parent = await desk.asked_and_painted()
        job = await self.reroll_of(desk, parent)
        other = replace(recipe(), environment={"device_name": "A100"})
        changed = await self.changed(desk, job, recipe=other, pixels="0" * 64)
        notice = Notice(ELSEWHERE, {"device": "A100"})
        said = await self.said(desk, replace(changed, warnings=(notice,)))
        assert "was available" in said
        assert "name and torch." in said
        assert said.count("A100") == 0

    async def test_another_machine_with_the_same_pixels(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        job = await self.reroll_of(desk, parent)
        said = await self.said(
            desk, replace(job, warnings=(Notice(ELSEWHERE, {"device": "A100"}),))
        )
        assert "Identical to the original" in said
        assert "A100" not in said

    async def test_another_machine_where_nothing_can_be_compared(self, desk: Desk) -> None:
        job = await self.reroll_of(desk, (await desk.accepted()).job)
        said = await self.said(
            desk, replace(job, warnings=(Notice(ELSEWHERE, {"device": "A100"}),))
        )
        assert "can't compare" in said
        assert "This was generated on A100" in said

    async def test_other_pixels_for_no_known_reason(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        job = await self.reroll_of(desk, parent)
        changed = await self.changed(desk, job, recipe=recipe(), pixels="0" * 64)
        assert "can't tell why" in await self.said(desk, changed)

    async def test_an_original_without_a_recipe(self, desk: Desk) -> None:
        parent = (await desk.accepted()).job
        said = await self.said(desk, await self.reroll_of(desk, parent))
        assert "can't compare" in said

    async def test_only_a_reroll_is_compared(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        new = in_channel(kind="vary", parent_id=parent.id, reply_to=300)
        said = await self.said(desk, await desk.painted((await desk.accepted(new)).job.id))
        assert "original" not in said

    async def changed(self, desk: Desk, job: Job, *, recipe: Any, pixels: str) -> Job:
        """As if the job had run in another way."""
        images = await desk.store.images(job.id)
        store = desk.store

        async def other(job_id: str) -> Any:
            found = await Store.images(store, job_id)
            return (
                tuple(replace(i, pixels_sha256=pixels) for i in found)
                if job_id == job.id
                else found
            )

        store.images = other  # type: ignore[method-assign]
        assert images
        return replace(job, recipe=recipe)
