"""The broker that docs/scaling.md shows starts, and keeps what the page says that it keeps."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.distributed import keys, manage
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from tests.distributed.server import free_port, needed
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "scaling.md"


def shown(line: str) -> str:
    """The block of the page with a line that begins so."""
    [block] = [each for each in blocks(PAGE, "") if line in each]
    return block


@contextmanager
def started(config: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen([needed(), str(config)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            pytest.fail("it does not start")
        yield
    finally:
        process.kill()
        process.wait()


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_its_broker_keeps_logins_and_nothing_else(tmp_path: Path) -> None:
    port, users, config = free_port(), tmp_path / "users.acl", tmp_path / "redis.conf"
    users.write_text(shown("user default"))
    lines = {
        "bind 127.0.0.1 100.64.0.1": "bind 127.0.0.1",
        "port 6379": f"port {port}",
        "aclfile /etc/redis/users.acl": f"aclfile {users}",
    }
    text = shown("aclfile")
    for line, here in lines.items():
        assert f"{line}\n" in text
        text = text.replace(f"{line}\n", f"{here}\n")
    config.write_text(f"{text}dir {tmp_path}\n")
    broker = Broker.at(f"redis://:PASSWORD@127.0.0.1:{port}")
    with started(config, port):
        own = Broker.at(await manage.allow(broker, "attic"))
        assert await manage.keeps_logins(broker)
        client = own.client(Pace())
        await client.set(keys.announced("attic"), "x")
        await client.aclose()
    with started(config, port):
        client = own.client(Pace())
        assert await client.get(keys.announced("attic")) is None
        await client.aclose()
    assert files_in(tmp_path) == {"users.acl", "redis.conf"}
