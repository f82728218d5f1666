"""The gateway: https://docs.discord.com/developers/events/gateway."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from playground import payloads, permissions
from playground.connection import (
    PRESENCES_SENT,
    PRESENCES_WINDOW,
    SENDS,
    SENDS_WINDOW,
    Connection,
    Session,
)
from playground.limits_sessions import SessionLimits
from playground.state import Channel, Guild
from playground.waiting import Signal
from playground.world import World

JsonObject = dict[str, Any]

GUILDS, GUILD_MEMBERS, PRESENCES = 1 << 0, 1 << 1, 1 << 8
GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 9, 1 << 10, 1 << 11
DM_SHIFT = 3  # each of the three has a counterpart for DMs, three bits up
MESSAGE_CONTENT = 1 << 15
KNOWN_INTENTS = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25
PRIVILEGED = GUILD_MEMBERS | PRESENCES | MESSAGE_CONTENT
MAX_PAYLOAD = 4096
HEARTBEAT_ACK = 0.01
"""Seconds until a heartbeat is acknowledged. Without a delay, the ACK can arrive before discord.py
has recorded the send time; it then warns of a latency as long as the whole interval."""


class Gateway:
    """All sockets and sessions of the bot.

    ``heartbeats_late``: how many seconds late each heartbeat was, at least 0.
    ``presence``: the latest that was told; ``presences``: each, with the number of its shard.
    """

    def __init__(self, world: World, token: str, signal: Signal, violate: Callable[[str], None]):
        self._world = world
        self._token = token
        self._signal = signal
        self._violate = violate
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.identifies = 0
        self.resumes = 0
        self.heartbeats = 0
        self.heartbeats_late: list[float] = []
        self.heartbeat_interval_ms = 41_250
        self.refusals = 0
        self.silent = False
        self.answer_heartbeats = True
        self.allowed_privileged = PRIVILEGED
        self.presence: JsonObject | None = None
        self.presences: list[tuple[int, JsonObject]] = []
        self._revoked = ""
        self.resume_url = ""
        self.limits = SessionLimits()

    @property
    def online(self) -> bool:
        """Whether every shard of some identified bot has a live socket and got its READY."""
        live = [s for s in self.sessions.values() if s.connection is not None and s.ready]
        return any(
            {s.shard[0] for s in live if s.shard[1] == count} == set(range(count))
            for count in {s.shard[1] for s in live}
        )

    # Events to the bot.

    def emit(
        self,
        event: str,
        data: JsonObject,
        *,
        guild: Guild | None,
        intent: int = 0,
        channel: Channel | None = None,
    ) -> None:
        """Send an event to every session whose shard, intents and permissions include it."""
        if channel is not None and not permissions.has(self._world.bot, channel, "view_channel"):
            return
        for session in list(self.sessions.values()):
            if session.serves(guild.id if guild else None) and (
                not intent or session.intents & intent
            ):
                session.dispatch(event, data)
        self._signal.notify()

    def emit_in(self, event: str, data: JsonObject, channel: Channel, intent: int) -> None:
        """Send an event of a channel. ``intent`` is for guilds; the one for DMs is derived."""
        wanted = intent if channel.guild else intent << DM_SHIFT
        self.emit(event, data, guild=channel.guild, intent=wanted, channel=channel)

    def emit_message(self, event: str, message: Any) -> None:
        """Send MESSAGE_CREATE or MESSAGE_UPDATE, with content only if the intents include it."""
        channel: Channel = message.channel
        wanted = GUILD_MESSAGES if channel.guild else GUILD_MESSAGES << DM_SHIFT
        if message.ephemeral or not permissions.has(self._world.bot, channel, "view_channel"):
            return
        for session in list(self.sessions.values()):
            if session.intents & wanted and session.serves(
                channel.guild.id if channel.guild else None
            ):
                content = bool(session.intents & MESSAGE_CONTENT)
                session.dispatch(
                    event, payloads.message_event(message, self._world, with_content=content)
                )

    # Faults. ``shard``: the number of the one that they happen to; None for all.

    def drop(self, shard: int | None = None) -> None:
        """Kill sockets abruptly; their sessions can be resumed."""
        for connection in self._of(shard):
            self._detach(connection)
            connection.abort()

    def ask_reconnect(self, shard: int | None = None) -> None:
        """Send op 7."""
        for connection in self._of(shard):
            connection.send({"op": 7, "d": None})

    def invalidate(self, shard: int | None = None, *, resumable: bool = False) -> None:
        """Send op 9; unless ``resumable``, drop the sessions."""
        for connection in self._of(shard):
            connection.send({"op": 9, "d": resumable})
        if not resumable:
            gone = [s.id for s in self.sessions.values() if shard in (None, s.shard[0])]
            for identifier in gone:
                del self.sessions[identifier]

    def close_all(self, code: int, shard: int | None = None) -> None:
        """Close sockets with ``code``, as Discord does on its own errors (4000 …)."""
        for connection in self._of(shard):
            connection.close(code)

    def revoke_token(self) -> None:
        """Close every socket with 4004, and reject the old token from now on."""
        self._revoked, self._token = self._token, secrets.token_hex(16)
        self.close_all(4004)

    def _of(self, shard: int | None) -> list[Connection]:
        if shard is None:
            return list(self.connections)
        return [c for c in self.connections if c.session and c.session.shard[0] == shard]

    # One socket.

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """The WebSocket endpoint."""
        if self.refusals:
            self.refusals -= 1
            self._signal.notify()
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(max_msg_size=1 << 20, autoping=True)
        await socket.prepare(request)
        connection = Connection(socket, request)
        self.connections.add(connection)
        if not self.silent:
            connection.send({"op": 10, "d": {"heartbeat_interval": self.heartbeat_interval_ms}})
        try:
            async for received in socket:
                if received.type is WSMsgType.TEXT:
                    self._receive(connection, received.data)
        finally:
            # A close with 1000 or 1001 ends the session, anything else leaves it resumable.
            over = socket.close_code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY)
            if over and connection.session is not None:
                self.sessions.pop(connection.session.id, None)
            self._detach(connection)
            await connection.stop()
        return socket

    def _detach(self, connection: Connection) -> None:
        self.connections.discard(connection)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
        self._signal.notify()

    def _fail(self, connection: Connection, code: int, why: str, *, expected: bool = False) -> None:
        if not expected:
            self._violate(f"gateway: closed with {code}: {why}")
        connection.close(code)

    def _refuse_token(self, connection: Connection, data: JsonObject) -> None:
        revoked = data.get("token", "").removeprefix("Bot ") == self._revoked
        self._fail(connection, 4004, "the token is not the bot's", expected=revoked)

    def _receive(self, connection: Connection, text: str) -> None:
        if len(text.encode()) > MAX_PAYLOAD:
            self._fail(connection, 4002, f"payload of {len(text)} bytes, limit {MAX_PAYLOAD}")
            return
        now = time.monotonic()
        connection.received.append(now)
        if len(connection.received) > SENDS and now - connection.received[0] < SENDS_WINDOW:
            self._fail(connection, 4008, f"more than {SENDS} sends in {SENDS_WINDOW:g} s")
            return
        try:
            payload = json.loads(text)
            op, data = payload["op"], payload.get("d")
        except (ValueError, KeyError, TypeError, RecursionError):
            self._fail(connection, 4002, f"payload {text[:100]!r} is not an object with op")
            return
        if op == 1:
            self.heartbeats += 1
            self.heartbeats_late.append(max(0.0, now - connection.heartbeat_due))
            connection.heartbeat_due = now + self.heartbeat_interval_ms / 1000
            self._signal.notify()
            if self.answer_heartbeats:
                answer = {"op": 11, "d": None}
                asyncio.get_running_loop().call_later(HEARTBEAT_ACK, connection.send, answer)
        elif op == 2:
            self._identify(connection, data)
        elif op == 6:
            self._resume(connection, data)
        elif connection.session is None:
            self._fail(connection, 4003, f"op {op} before IDENTIFY")
        elif op == 3:
            self._present(connection, connection.session, data, now)
        elif op == 8:
            self._members(connection.session, data)
        elif op != 4:
            self._fail(connection, 4001, f"op {op} is unknown")

    def _present(
        self, connection: Connection, session: Session, data: JsonObject, now: float
    ) -> None:
        told = connection.presences
        told.append(now)
        if len(told) > PRESENCES_SENT and now - told[0] < PRESENCES_WINDOW:
            limit = f"{PRESENCES_SENT} presences in {PRESENCES_WINDOW:g} s"
            self._violate(f"gateway: more than {limit}")
        self.presence = data
        self.presences.append((session.shard[0], data))
        self._signal.notify()

    def _identify(self, connection: Connection, data: JsonObject) -> None:
        intents = int(data.get("intents", -1))
        shard = data.get("shard") or [0, 1]
        if connection.session is not None:
            self._fail(connection, 4005, "IDENTIFY on an identified socket")
        elif data.get("token", "").removeprefix("Bot ") != self._token:
            self._refuse_token(connection, data)
        elif not 0 <= shard[0] < shard[1]:
            self._fail(connection, 4010, f"shard {shard} is not [number, count]")
        elif self.limits.refuses(shard[1]):
            self._fail(connection, 4011, f"{shard[1]} shards are too few", expected=True)
        elif intents < 0 or intents & ~KNOWN_INTENTS:
            self._fail(connection, 4013, f"intents {intents} have unknown bits")
        elif intents & PRIVILEGED & ~self.allowed_privileged:
            self._fail(connection, 4014, f"privileged intents {intents & PRIVILEGED} are not on")
        elif wrong := self.limits.spend(shard[0]):
            self._violate(f"gateway: {wrong}")
            connection.send({"op": 9, "d": False})
        else:
            self.identifies += 1
            session = Session(intents, (shard[0], shard[1]), connection)
            self.sessions[session.id] = session
            connection.session = session
            self._ready(session)

    def _ready(self, session: Session) -> None:
        world = self._world
        guilds = [g for g in world.guilds.values() if session.serves(g.id)]
        ready = {
            "v": 10,
            "user": payloads.current_user(world.bot),
            "guilds": [{"id": str(g.id), "unavailable": True} for g in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.resume_url,
            "shard": list(session.shard),
            "application": {"id": str(world.application_id), "flags": 1 << 19},
            "private_channels": [],
            "relationships": [],
        }
        session.dispatch("READY", ready)
        if session.intents & GUILDS:
            for guild in guilds:
                everyone = bool(session.intents & GUILD_MEMBERS)
                session.dispatch(
                    "GUILD_CREATE", payloads.guild_create(guild, world.bot, everyone=everyone)
                )
        session.ready = True
        self._signal.notify()

    def _resume(self, connection: Connection, data: JsonObject) -> None:
        session = self.sessions.get(data.get("session_id", ""))
        seq = int(data.get("seq") or 0)
        if data.get("token", "").removeprefix("Bot ") != self._token:
            self._refuse_token(connection, data)
            return
        if session is not None and seq > session.seq:
            self._fail(connection, 4007, f"seq {seq} was never sent, the last is {session.seq}")
            return
        first = session.events[0]["s"] if session and session.events else 1
        if session is None or seq + 1 < first:
            connection.send({"op": 9, "d": False})
            return
        if session.connection is not None:
            session.connection.session = None
            session.connection.close(4000)
        self.resumes += 1
        session.connection = connection
        connection.session = session
        for payload in list(session.events):
            if payload["s"] > seq:
                connection.send(payload)
        session.dispatch("RESUMED", {"_trace": []})
        self._signal.notify()

    def _members(self, session: Session, data: JsonObject) -> None:
        guild = self._world.guilds.get(int(data["guild_id"]))
        if guild is None:
            return
        wanted = data.get("user_ids")
        ids = (
            {int(i) for i in (wanted if isinstance(wanted, list) else [wanted])} if wanted else None
        )
        query = data.get("query") or ""
        found = [
            payloads.member(m)
            for m in guild.members.values()
            if (m.account.id in ids if ids is not None else m.account.name.startswith(query))
        ]
        if data.get("limit"):
            found = found[: data["limit"]]
        chunk: JsonObject = {
            "guild_id": str(guild.id),
            "members": found,
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
        }
        if data.get("nonce"):
            chunk["nonce"] = data["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)

    async def stop(self) -> None:
        """Abort every socket."""
        for connection in list(self.connections):
            connection.abort()
            await connection.stop()
