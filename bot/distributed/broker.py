"""Broker: where the bot and its workers meet, and what it takes to be trusted with that."""

import ipaddress
import re
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

from bot.distributed.pace import Pace
from bot.errors import SettingsError
from bot.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

VARIABLE: Final = "IMAGEN_BROKER"
PORT: Final = 6379
EXAMPLE: Final = "rediss://:PASSWORD@broker.example.org:6379"
PACKAGES: Final = ("redis", "saq", "typing_extensions")
MISSING: Final = (
    f"{VARIABLE}: the packages for it are missing; install them with "
    "`pip install -r requirements-distributed.txt`"
)


@dataclass(frozen=True, slots=True)
class Broker:
    """The address of a Redis or Valkey server.

    tls: whether the way there is encrypted. authority: a PEM file with the certificate that signed
    the server's; None: one that the system trusts did.
    """

    host: str
    port: int = PORT
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    authority: Path | None = None

    @classmethod
    def at(cls, url: str, *, authority: Path | None = None, tunnel: bool = False) -> Self:
        """authority: as above. tunnel: whether something else encrypts the way there.

        Raises SettingsError, which never shows the password.
        """
        shown = _without_password(url)
        try:
            parts = urlsplit(url)
            port, database = parts.port or PORT, _database(parts)
        except ValueError:
            parts, port, database = urlsplit(""), PORT, None
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or database is None:
            raise SettingsError(f"{VARIABLE}: must be a URL such as {EXAMPLE}, got {shown}")
        if parts.query or parts.fragment:
            # redis-py would take options from there, such as not to check certificates.
            raise SettingsError(f"{VARIABLE}: must have no options after ? or #, got {shown}")
        broker = cls(
            host=parts.hostname,
            port=port,
            database=database,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=parts.scheme == "rediss",
            authority=authority,
        )
        if not broker._is_here:
            broker._demand_protection(shown, tunnel=tunnel)
        if authority is not None and not authority.is_file():
            raise SettingsError(f"IMAGEN_BROKER_CA: must be a file, got {str(authority)!r}")
        return broker

    def __str__(self) -> str:
        """Without the password."""
        scheme = "rediss" if self.tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.database}"

    @property
    def is_local(self) -> bool:
        """Whether other machines cannot know it by this name, or may not: a name without a dot is
        often that of a container."""
        return self._is_here or not {".", ":"} & set(self.host)

    def seen_at(self, address: str) -> Self:
        """The same broker where another machine reaches it.

        address: HOST or HOST:PORT, after redis:// or rediss:// if that is not as here. Raises
        SettingsError.
        """
        scheme, mark, rest = address.rpartition("://")
        try:
            parts = urlsplit(f"//{rest}")
            host, port = parts.hostname, parts.port or PORT
        except ValueError:
            host, port = None, PORT
        known = scheme in ("redis", "rediss") if mark else True
        if not known or not host or "@" in rest or parts.path not in ("", "/"):
            raise SettingsError(
                "--at: must be where the worker reaches the broker, such as broker.example.org, "
                "100.64.0.1:6379 or rediss://broker.example.org:6379"
            )
        return replace(self, host=host, port=port, tls=scheme == "rediss" if mark else self.tls)

    def url(self, username: str, password: str) -> str:
        """The URL with which another logs in to it."""
        return str(self).replace("://", f"://{username}:{password}@", 1)

    @staticmethod
    def demand_packages() -> None:
        """Raise SettingsError if the packages for it are missing."""
        if not all(map(find_spec, PACKAGES)):
            raise SettingsError(MISSING)

    def client(self, pace: Pace) -> "Redis":
        """A client for one event loop; close it with `aclose`.

        Each call fails within half of what counts as silence.
        """
        from redis.asyncio import ConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from bot.distributed.connections import EncryptedConnection, PlainConnection

        options: dict[str, Any] = {
            "connection_class": EncryptedConnection if self.tls else PlainConnection,
            "host": self.host,
            "port": self.port,
            "db": self.database,
            "username": self.username,
            "password": self.password,
            "socket_timeout": pace.silence / 2,
            "socket_connect_timeout": pace.silence / 2,
            # A connection that was idle may have been closed by the other side.
            "retry": Retry(NoBackoff(), 1),
            # Not told what connects: a login for a worker has no right to say so.
            "driver_info": None,
        }
        if self.tls:
            options |= {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": str(self.authority) if self.authority else None,
            }
        return Redis.from_pool(ConnectionPool(**options))

    @property
    def _is_here(self) -> bool:
        """Whether the address is this machine's own, from which nothing leaves it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def _demand_protection(self, shown: str, *, tunnel: bool) -> None:
        if not self.password:
            raise SettingsError(f"{VARIABLE}: needs a password, as in {EXAMPLE}, got {shown}")
        if not self.tls and not tunnel:
            raise SettingsError(
                f"{VARIABLE}: must begin with rediss:// (TLS) unless the broker is on this "
                "machine, or IMAGEN_BROKER_TUNNEL says that something else encrypts the way there, "
                f"got {shown}"
            )


def broker_of(settings: Settings) -> Broker:
    """Raises SettingsError, also if there is none."""
    if settings.broker is None:
        raise SettingsError(
            f"{VARIABLE}: not set; it is the address of a broker, such as {EXAMPLE}"
        )
    return Broker.at(
        settings.broker.get_secret_value().strip(),
        authority=settings.broker_ca,
        tunnel=settings.broker_tunnel,
    )


def _database(parts: SplitResult) -> int | None:
    """The number of the database; None if the path is none."""
    if parts.path in ("", "/"):
        return 0
    return int(parts.path[1:]) if re.fullmatch(r"/[0-9]{1,4}", parts.path) else None


def _without_password(url: str) -> str:
    """`url` as it may be shown. Whatever precedes the last @ may be a part of a password."""
    scheme, mark, rest = url.partition("://")
    _, at, address = rest.rpartition("@")
    if not mark:
        return "something else"
    return repr(f"{scheme}://{'…@' if at else ''}{address}")
