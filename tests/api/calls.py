"""Calls as the server hands them to the application."""

from typing import Any

from fastapi import Request


def call(
    *headers: tuple[str, str],
    path: str = "/models",
    method: str = "GET",
    query: str = "",
    version: str = "1.1",
    client: tuple[str, int] | None = ("127.0.0.1", 50_000),
    host: str | None = "localhost:8009",
) -> Request:
    named = headers if host is None else (("host", host), *headers)
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "http_version": version,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in named],
        "client": client,
        "state": {},
    }
    return Request(scope)
