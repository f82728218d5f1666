"""What people keep, and where results were sent again."""

from bot.store import Store
from bot.store.sent_again import Shown
from tests.store.factories import done

ADA, BEA = "discord:7", "discord:8"


async def test_each_keeps_for_themselves(store: Store) -> None:
    one, two = await done(store), await done(store)
    assert await store.favourites.keep(ADA, one.id)
    assert not await store.favourites.keep(ADA, one.id)
    assert await store.favourites.keep(ADA, two.id)
    assert await store.favourites.keep(BEA, one.id)
    page = await store.favourites.page(ADA, 10)
    assert [each.job.id for each in page] == [two.id, one.id]
    older = await store.favourites.page(ADA, 10, before=page[0].kept_at)
    assert [each.job.id for each in older] == [one.id]
    newer = await store.favourites.page(ADA, 10, after=page[1].kept_at)
    assert [each.job.id for each in newer] == [two.id]
    assert await store.favourites.drop(ADA, one.id)
    assert not await store.favourites.drop(ADA, one.id)
    assert not await store.favourites.has(ADA, one.id)
    assert await store.favourites.has(BEA, one.id)


async def test_a_deleted_one_is_not_listed(store: Store) -> None:
    job = await done(store)
    await store.deliver(job)
    await store.favourites.keep(ADA, job.id)
    await store.deletions.begin(job.id)
    assert await store.favourites.page(ADA, 10) == []


async def test_a_message_that_shows_it_again_is_known_until_it_is_gone(store: Store) -> None:
    job = await done(store)
    assert await store.sent_again.add(job.id, Shown(20, 1))
    assert await store.sent_again.of(job.id) == [Shown(20, 1)]
    assert await store.sent_again.job_of(1) == job.id
    await store.personal.forgettings.drop_message(1)
    assert await store.sent_again.of(job.id) == []
    await store.deliver(job)
    await store.deletions.begin(job.id)
    assert not await store.sent_again.add(job.id, Shown(20, 2))
