"""What a request costs before it is refused: as little as possible."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.errors import Refused
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.store import NewJob, Store
from catalog import Catalog, ModelEntry
from cogs import completing
from cogs.attachments import Attachments
from cogs.composing import Composing
from cogs.imagine import Imagine
from cogs.results import Results
from cogs.retry import RetryButton
from tests.catalog.fixed import fixed
from tests.chat.found import ANYWHERE, found_here

CATALOG = Catalog(
    models={"base": ModelEntry(key="base", name="Base", path="org/base")},
    adapters={},
    default="base",
)
IMAGINE: Any = Imagine.imagine.callback


class NotLookedAt:
    """Stands for what must not be used for a request that is refused."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked at")


class NothingKnown(NotLookedAt):
    """A store that knows no hashes, and whose presets must not be used."""

    async def hashes(self, *_: str | None) -> dict[str, tuple[str, ...]]:
        return {}

    @property
    def known_weights(self) -> "NothingKnown":
        return self

    @property
    def presets(self) -> NotLookedAt:
        return NotLookedAt()


class Attachment:
    size, content_type, width, height = 1_000, "image/png", 64, 64
    reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        raise OSError("gone")


class Deferring(NotLookedAt):
    async def defer(self, of: Any, *, hidden: bool = False) -> None:
        await of.response.defer(thinking=True)


class Response:
    deferred = 0

    async def defer(self, **_: object) -> None:
        self.deferred += 1


def interaction(user: int) -> Any:
    return SimpleNamespace(
        id=1,
        user=SimpleNamespace(id=user),
        guild_id=2,
        channel=None,
        channel_id=3,
        locale="en-US",
        extras=found_here(),
        filesize_limit=1_000_000,
        token="t",
        namespace=SimpleNamespace(model=None),
        response=Response(),
    )


def cog(queue: JobQueue, catalog: Any) -> Imagine:
    store = cast("Any", NothingKnown())
    return Imagine(
        queue=queue,
        delivery=cast("Any", Deferring()),
        attachments=Attachments(store, cast("Any", NotLookedAt()), cast("Any", NotLookedAt())),
        composing=Composing(catalog, store, 4),
    )


def limited(**limits: Any) -> JobQueue:
    return JobQueue(cast("Store", NotLookedAt()), [], Limits(**limits))


BLOCKING = {"blocked": frozenset({"discord:7"})}
ROLES = {"roles": (50,)}


@pytest.mark.parametrize(("limits", "code"), [(BLOCKING, "queue.blocked"), (ROLES, "queue.role")])
class TestWhoMayNotAsk:
    async def test_nothing_is_composed(self, limits: dict[str, Any], code: str) -> None:
        imagine: Any = cog(limited(**limits), NotLookedAt())
        with pytest.raises(Refused, match=code):
            await IMAGINE(imagine, interaction(7), prompt=":" + "1" * 1_999)

    @pytest.mark.parametrize("option", ["model", "lora", "size", "scheduler", "preset"])
    async def test_nothing_is_searched(
        self, limits: dict[str, Any], code: str, option: str
    ) -> None:
        backend = SimpleNamespace(queue=limited(**limits), catalog=NotLookedAt())
        asking = interaction(7)
        asking.client = SimpleNamespace(services=SimpleNamespace(backend=backend))
        assert await getattr(completing, f"complete_{option}")(asking, "a") == []

    async def test_a_button_looks_nothing_up(self, limits: dict[str, Any], code: str) -> None:
        nothing: Any = NotLookedAt()
        results = Results(
            texts=nothing,
            catalog=nothing,
            store=nothing,
            queue=limited(**limits),
            delivery=nothing,
            contexts=ANYWHERE,
        )
        button = RetryButton(results)
        with pytest.raises(Refused, match=code):
            await button.check(interaction(7), cast("Any", nothing))


class Places(JobQueue):
    """Notes what is reserved when."""

    def __init__(self) -> None:
        super().__init__(cast("Store", NotLookedAt()), [], Limits(per_user=1))
        self.reserved = 0

    @asynccontextmanager
    async def reserving(self, new: NewJob) -> AsyncIterator[None]:
        async with super().reserving(new):
            self.reserved += 1
            try:
                yield
            finally:
                self.reserved -= 1


async def test_a_picture_is_fetched_only_in_a_reserved_place() -> None:
    queue = Places()
    reserved: list[int] = []

    class Watched(Attachment):
        async def read(self) -> bytes:
            reserved.append(queue.reserved)
            # Whoever asks again meanwhile is refused, and nothing more is fetched.
            other, more = interaction(7), Attachment()
            with pytest.raises(Refused, match="user_full"):
                await ask(other, more)
            assert (more.reads, other.response.deferred) == (0, 0)
            return await super().read()

    async def ask(of: Any, image: Any) -> None:
        imagine: Any = cog(queue, fixed(CATALOG))
        await IMAGINE(imagine, of, prompt="an owl", image=image)

    for _ in range(2):  # the place is given back after a failure
        with pytest.raises(Exception, match="unreachable"):
            await ask(interaction(7), Watched())
    assert reserved == [1, 1]
