"""A Hugging Face Hub on loopback: the three endpoints that a download uses."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """repositories: id → name of a file → its content. refused: id → status and
    X-Error-Code of every response. gated: id → the token without which it answers as gated.
    overstated: bytes that are announced but not sent.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Mapping[str, bytes]] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        self.gated: dict[str, str] = {}
        self.asked: list[str] = []
        self.overstated = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fetched(self) -> list[str]:
        """Names of the files that were downloaded, in order."""
        marker = f"/resolve/{COMMIT}/"
        return [p.split(marker)[1] for p in self.asked if p.startswith("GET") and marker in p]


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0].lstrip("/")
        listing = path.startswith("api/models/")
        path = path.removeprefix("api/models/")
        repository = "/".join(path.split("/")[:2])
        if repository in self.server.refused:
            status, code = self.server.refused[repository]
            self._send(status, b"", {"X-Error-Code": code})
        elif self._lacks_token(repository):
            self._send(401, b"", {"X-Error-Code": "GatedRepo"})
        elif repository not in self.server.repositories:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif listing:
            self._send(200, self._listing(repository), {})
        else:
            name = path.split(f"resolve/{COMMIT}/")[1]
            content = self.server.repositories[repository][name]
            etag = hashlib.sha256(content).hexdigest()
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
            self._send(200, content, headers, body=body)

    def _lacks_token(self, repository: str) -> bool:
        token = self.server.gated.get(repository)
        return token is not None and self.headers["Authorization"] != f"Bearer {token}"

    def _listing(self, repository: str) -> bytes:
        files = self.server.repositories[repository]
        siblings = [
            {"rfilename": name, "size": len(data), **_large(name, data)}
            for name, data in files.items()
        ]
        return json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode()

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], *, body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        announced = len(content) + (0 if body else self.server.overstated)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        if body:
            self.wfile.write(content)


def _large(name: str, data: bytes) -> dict[str, Any]:
    """What is listed of a file in Git LFS besides."""
    if not name.endswith(".safetensors"):
        return {}
    sha256 = hashlib.sha256(data).hexdigest()
    return {"lfs": {"sha256": sha256, "size": len(data), "pointerSize": 134}}


@contextmanager
def hub_server() -> Iterator[HubServer]:
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, as a repository."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
