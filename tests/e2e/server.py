"""The real process: `python main.py serve`, and a client for it."""

import asyncio
import signal
import sys
from typing import Any, Self

import httpx2

from tests.e2e.home import ROOT, Home, free_port
from tests.e2e.processes import Process, start


class Server:
    """Use as `async with Server(home) as server`; `client` calls it from this machine."""

    program = ROOT / "main.py"

    def __init__(self, home: Home, *arguments: str, **settings: str) -> None:
        self.home = home
        self.port = free_port()
        self.log_file = home.folder / "server.log"
        self._arguments = arguments
        self._settings = settings
        self._process: Process | None = None
        self.client = httpx2.AsyncClient(base_url=self.url, timeout=60, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def start(self) -> None:
        with self.log_file.open("ab") as log:
            self._process = await start(
                [
                    *(sys.executable, str(self.program), "serve"),
                    *("--port", str(self.port), *self._arguments),
                ],
                cwd=self.home.folder,
                environment={**self.home.environment, **self._settings},
                stdout=log,
                stderr=log,
            )
        for _ in range(300):
            try:
                await self.client.get("/healthz")
            except httpx2.ConnectError:
                if self._process.returncode is not None:
                    break
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError(f"the server does not answer: {self.log}")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def generate(self, **body: Any) -> dict[str, Any]:
        """`POST /generate`, accepted."""
        answer = await self.client.post("/generate", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def done(self, job_id: str) -> dict[str, Any]:
        """The job's status once it has ended."""
        while True:
            answer = await self.client.get(f"/status/{job_id}", params={"wait": 30})
            assert answer.status_code == 200, answer.text
            status = dict(answer.json())
            if status["status"] in ("done", "failed", "cancelled"):
                return status
