"""A real Redis or Valkey server on loopback, with a password, which tests start, stop and kill."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")
"""Either will do."""
KEPT = "kept"
"""The folder in which it keeps what it has been told."""


def needed() -> str:
    """The program; skips the test where there is none, except with CI set."""
    if PROGRAM is None:
        if os.environ.get("CI"):
            pytest.fail("there is no redis-server; install Debian's package of this name")
        pytest.skip("there is no redis-server here")
    return PROGRAM


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """It is empty whenever it is started, unless `start` is told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_hex(16)
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.at(self.port)

    def at(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"

    def start(self, *, with_data: bool = False) -> None:
        """with_data: that it had when it was killed."""
        if not with_data:
            shutil.rmtree(self._folder / KEPT, ignore_errors=True)
        config = self._folder / "redis.conf"
        # Not as an argument, which everybody on the machine could read.
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\nrequirepass {self.password}\n"
            f'save ""\nappendonly yes\nappendfsync always\nappenddirname {KEPT}\n'
            f"dir {self._folder}\nloglevel warning\n"
        )
        config.chmod(0o600)
        self._process = subprocess.Popen([needed(), str(config)], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("the broker does not start")

    def kill(self) -> None:
        """At once, as if the power went."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
