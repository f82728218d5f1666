"""Registering the slash commands, but only if they have changed since the last time."""

import hashlib
import json
import logging
from collections.abc import Collection, Sequence
from typing import Any

import discord
from discord import app_commands

from bot.store import Store

log = logging.getLogger(__name__)

Tree = app_commands.CommandTree[Any]


async def register(
    tree: Tree, store: Store, guild_id: int | None, servers: Collection[int] = ()
) -> list[app_commands.AppCommand]:
    """Register all commands, in one server or everywhere, and remember what was registered.

    servers: those that have commands of their own besides. Returns the commands of the one server
    or of everywhere. Raises discord.HTTPException when Discord refuses.
    """
    registered = []
    for scope in await _scopes(tree, store, guild_id, servers):
        commands = await _register(tree, store, scope)
        if scope == guild_id:
            registered = commands
    await _remember(tree, store, servers)
    return registered


async def register_if_changed(
    tree: Tree, store: Store, guild_id: int | None, servers: Collection[int] = ()
) -> None:
    """As `register`, but only after a change; never raises, as the bot can run without it."""
    try:
        scopes = await _scopes(tree, store, guild_id, servers)
        done = [await _register_changed(tree, store, scope, guild_id) for scope in scopes]
        if all(done):
            await _remember(tree, store, servers)
    except Exception as error:
        log.error("commands: not registered (%s); going on without", type(error).__name__)


async def _register_changed(
    tree: Tree, store: Store, scope: int | None, guild_id: int | None
) -> bool:
    where = "" if scope == guild_id else f" in server {scope}"
    try:
        if await store.setting(_key(tree, scope)) == await fingerprint(tree, scope):
            if await store.setting(_key(tree, scope, "command ids")) is None:
                guild = discord.Object(scope) if scope else None
                await _keep_ids(tree, store, scope, await tree.fetch_commands(guild=guild))
            log.info("commands: unchanged%s, not registered again", where)
            return True
        commands = await _register(tree, store, scope)
    except Exception as error:
        kind = type(error).__name__
        log.error("commands: not registered%s (%s); going on without", where, kind)
        return False
    names = ", ".join(f"/{command.name}" for command in commands)
    log.info("commands: registered%s %s", where, names or "none")
    return True


async def _register(tree: Tree, store: Store, scope: int | None) -> list[app_commands.AppCommand]:
    registered = await tree.sync(guild=discord.Object(scope) if scope else None)
    await _keep_ids(tree, store, scope, registered)
    await store.set_setting(_key(tree, scope), await fingerprint(tree, scope))
    return registered


async def known_ids(tree: Tree, store: Store, scope: int | None) -> dict[str, int]:
    """The ID of each slash command by its name, as of the last registration in a server, or
    everywhere."""
    kept = await store.setting(_key(tree, scope, "command ids"))
    return {name: int(number) for name, number in json.loads(kept or "[]")}


async def _keep_ids(
    tree: Tree, store: Store, scope: int | None, registered: Sequence[app_commands.AppCommand]
) -> None:
    slash = discord.AppCommandType.chat_input
    ids = [(command.name, str(command.id)) for command in registered if command.type is slash]
    await store.set_setting(_key(tree, scope, "command ids"), json.dumps(ids))


async def fingerprint(tree: Tree, scope: int | None = None) -> str:
    """Hash of what would be sent to Discord, translations included. scope: a server, or None for
    everywhere."""
    guild = discord.Object(scope) if scope else None
    payloads = [
        await command.get_translated_payload(tree, tree.translator)
        if tree.translator
        else command.to_dict(tree)
        for command in sorted(tree.get_commands(guild=guild), key=lambda command: command.name)
    ]
    return hashlib.sha256(json.dumps(payloads, sort_keys=True).encode()).hexdigest()


async def _scopes(
    tree: Tree, store: Store, guild_id: int | None, servers: Collection[int]
) -> Sequence[int | None]:
    """Where commands are registered: first those for everyone, then those of single servers.

    A server that no longer has its own is among them: what it had is taken away.
    """
    if guild_id is not None:
        tree.copy_global_to(guild=discord.Object(guild_id))
    before = json.loads(await store.setting(_servers_key(tree)) or "[]")
    own = [scope for scope in dict.fromkeys((*servers, *before)) if scope != guild_id]
    return [guild_id, *own]


async def _remember(tree: Tree, store: Store, servers: Collection[int]) -> None:
    await store.set_setting(_servers_key(tree), json.dumps(sorted(servers)))


def _key(tree: Tree, scope: int | None, what: str = "commands") -> str:
    return f"{what}:{tree.client.application_id}:{scope or 'global'}"


def _servers_key(tree: Tree) -> str:
    return f"commands:{tree.client.application_id}:servers"
