"""Models that are completed by another source's networks, at a real worker that had none of it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.api import sending
from bot.distributed.fetched import PARTIAL
from bot.engine import Engine
from bot.errors import EngineLost
from bot.order import Order
from bot.painting import Painting
from bot.progress import Stage
from tests.distributed.bench import Lane, Painted, announced, until
from tests.distributed.bot_files import Interface, cutting, interface
from tests.distributed.lending import FOLDER, OFFERED, Borrower, Watched, build, lane_to_it, order
from tests.distributed.machines import Machine, sha256
from tests.distributed.server import Server

pytestmark = pytest.mark.long

ENCODER = f"{FOLDER}/text_encoder/model.safetensors"
VAE = f"{FOLDER}/vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "bot", OFFERED)
    build(made.models)
    made.inventory = Watched(made)
    return made.ready()


@pytest.fixture
def inventory(machine: Machine) -> Watched:
    assert isinstance(machine.inventory, Watched)
    return machine.inventory


@pytest.fixture
def here(machine: Machine) -> Iterator[Engine]:
    """The bot's own engine."""
    engine = Engine(models_dir=machine.models, hashes_file=machine.home / "own.json", device="cpu")
    yield engine
    engine.close()


@pytest.fixture
async def http(machine: Machine, tmp_path: Path) -> AsyncIterator[Interface]:
    (tmp_path / "http").mkdir()
    async with interface(tmp_path / "http", machine.inventory) as served:
        yield served


@pytest.fixture
async def borrower(server: Server, http: Interface, tmp_path: Path) -> AsyncIterator[Borrower]:
    made = Borrower(tmp_path / "worker", server.url, http.url, http.keys["worker"])
    yield made
    await made.end()


async def own(engine: Engine, asked: Order) -> Painting:
    return await asyncio.to_thread(engine.paint, asked, lambda _: None, lambda: None)


async def same(lane: Lane, engine: Engine, asked: Order) -> Painting:
    """What comes is what the bot's own engine makes of it, and says so."""
    ours, theirs = await own(engine, asked), await lane.paint(asked)
    assert [image.pixels_sha256 for image in theirs.images] == [
        image.pixels_sha256 for image in ours.images
    ]
    assert theirs.recipe == ours.recipe
    return theirs


async def test_all_that_a_model_needs_comes_once(
    server: Server, machine: Machine, inventory: Watched, here: Engine, borrower: Borrower
) -> None:
    await borrower.start()
    async with lane_to_it(server, inventory) as lane:
        one = await same(lane, here, order("one", "a:1"))
        assert {weights.name for weights in one.recipe.parts} == {
            f"{FOLDER}/text_encoder",
            f"{FOLDER}/vae",
        }
        assert [weights.name for weights in one.recipe.adapters] == ["ink"]
        came = [*inventory.asked]
        assert {"one.safetensors", "ink.safetensors", ENCODER, VAE} <= set(came)
        assert len(set(came)) == len(came)
        assert not any("transformer/diffusion" in name for name in came)

        two = await same(lane, here, order("two", "b:1"))
        assert two.images[0].pixels_sha256 != one.images[0].pixels_sha256
        # The other denoiser, and nothing else.
        assert inventory.asked[len(came) :] == ["two.safetensors"]

        # Somebody exchanges what was fetched.
        [lent] = [
            path
            for path in borrower.fetched.glob("[0-9a-f]*/model.safetensors")
            if path.read_bytes() == (machine.models / ENCODER).read_bytes()
        ]
        lent.write_bytes(lent.read_bytes()[:-1] + b"x")
        again = await same(lane, here, order("one", "c:1"))
        assert again.images[0].pixels_sha256 == one.images[0].pixels_sha256
        assert inventory.asked[len(came) + 1 :] == [ENCODER]

        # And the bot's owner takes another text encoder.
        (machine.models / ENCODER).write_bytes(other_encoder(machine))
        machine.ready()
        third = await same(lane, here, order("one", "d:1"))
        assert third.images[0].pixels_sha256 != one.images[0].pixels_sha256
        assert inventory.asked[len(came) + 2 :] == [ENCODER]
    assert "wrong" not in borrower.log.read_text("utf-8")


def other_encoder(machine: Machine) -> bytes:
    return (machine.models.parent / "other/text_encoder/model.safetensors").read_bytes()


async def test_what_was_being_sent_goes_on_after_a_kill(
    server: Server,
    machine: Machine,
    inventory: Watched,
    here: Engine,
    borrower: Borrower,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranges: list[tuple[str, str]] = []
    real = sending._Sent.__call__

    async def watched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        said = dict(scope["headers"]).get(b"range", b"").decode()
        ranges.append((Path(self.path).relative_to(machine.models).as_posix(), said))
        await real(self, scope, receive, send)

    monkeypatch.setattr(sending._Sent, "__call__", watched)
    encoder = machine.models / ENCODER
    before = (machine.models / "one.safetensors").stat().st_size
    held, source = asyncio.Event(), borrower.source
    async with cutting(source, [before + encoder.stat().st_size // 2, -1], held) as way:
        borrower.source = way
        await borrower.start()
        killed = (await announced(server.url)).session
        async with lane_to_it(server, inventory) as lane:
            heard = Painted()
            painting = asyncio.create_task(lane.paint(order("one", "a:1"), heard))
            begun = borrower.fetched / PARTIAL / sha256(encoder.read_bytes())
            await until(lambda: begun.is_file() and begun.stat().st_size)
            await until(lambda: any(each.stage is Stage.DOWNLOADING for each in heard.reports))
            await borrower.end(signal.SIGKILL)
            with pytest.raises(EngineLost) as lost:
                await painting
            assert lost.value.innocent
        held.set()
        there = begun.stat().st_size
        assert 0 < there < encoder.stat().st_size
        asked = len(ranges)
        await borrower.start()
        # What the killed one said of itself is there for a while.
        async with lane_to_it(server, inventory, after=killed) as lane:
            await same(lane, here, order("one", "a:2"))
    assert ranges[asked] == (ENCODER, f"bytes={there}-")
    assert "one.safetensors" not in [name for name, _ in ranges[asked:]]
