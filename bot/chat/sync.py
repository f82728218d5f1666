"""Registering the slash commands, but only if they have changed since the last time."""

import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from bot.store import Store

log = logging.getLogger(__name__)


async def register(
    tree: app_commands.CommandTree[Any], store: Store, guild_id: int | None
) -> list[app_commands.AppCommand]:
    """Register all commands, in one server or everywhere, and remember what was registered.

    Raises discord.HTTPException when Discord refuses.
    """
    guild = discord.Object(guild_id) if guild_id else None
    if guild is not None:
        tree.copy_global_to(guild=guild)
    registered = await tree.sync(guild=guild)
    await _keep_ids(tree, store, guild_id, registered)
    await store.set_setting(_key(tree, guild_id), await fingerprint(tree))
    return registered


async def known_ids(
    tree: app_commands.CommandTree[Any], store: Store, guild_id: int | None
) -> dict[str, int] | None:
    """The ID of each slash command, by name, as of the last registration; None if not known."""
    kept = await store.setting(_key(tree, guild_id, "command ids"))
    return None if kept is None else {name: int(number) for name, number in json.loads(kept)}


async def _keep_ids(
    tree: app_commands.CommandTree[Any],
    store: Store,
    guild_id: int | None,
    registered: list[app_commands.AppCommand],
) -> None:
    slash = discord.AppCommandType.chat_input
    ids = [(command.name, str(command.id)) for command in registered if command.type is slash]
    await store.set_setting(_key(tree, guild_id, "command ids"), json.dumps(ids))


async def register_if_changed(
    tree: app_commands.CommandTree[Any], store: Store, guild_id: int | None
) -> None:
    """As `register`, but only after a change; never raises, as the bot can run without it."""
    try:
        if await store.setting(_key(tree, guild_id)) == await fingerprint(tree):
            if await known_ids(tree, store, guild_id) is None:
                guild = discord.Object(guild_id) if guild_id else None
                await _keep_ids(tree, store, guild_id, await tree.fetch_commands(guild=guild))
            log.info("commands: unchanged, not registered again")
            return
        commands = await register(tree, store, guild_id)
        log.info("commands: registered %s", ", ".join(f"/{command.name}" for command in commands))
    except Exception as error:
        log.error("commands: not registered (%s); going on without", type(error).__name__)


async def fingerprint(tree: app_commands.CommandTree[Any]) -> str:
    """Hash of what would be sent to Discord, translations included."""
    payloads = [
        await command.get_translated_payload(tree, tree.translator)
        if tree.translator
        else command.to_dict(tree)
        for command in sorted(tree.get_commands(), key=lambda command: command.name)
    ]
    return hashlib.sha256(json.dumps(payloads, sort_keys=True).encode()).hexdigest()


def _key(tree: app_commands.CommandTree[Any], guild_id: int | None, what: str = "commands") -> str:
    return f"{what}:{tree.client.application_id}:{guild_id or 'global'}"
