"""Connections to the broker, on which whoever waits can be cancelled at any moment."""

import asyncio
from collections.abc import Iterable

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection


class _Cancellable(AbstractConnection):
    """redis-py sends with `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes
    just as what it waits for is done: whoever then awaits the end of that task does so for ever.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > before:
            # The answer will not be read.
            await self.disconnect(nowait=True)
            raise asyncio.CancelledError


class PlainConnection(_Cancellable, Connection):
    """Unencrypted."""


class EncryptedConnection(_Cancellable, SSLConnection):
    """With TLS."""
