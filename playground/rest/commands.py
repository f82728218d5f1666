"""Registering commands: https://docs.discord.com/developers/interactions/application-commands."""

from collections.abc import Iterable
from typing import Any

from playground import limits_commands
from playground.errors import ApiError, missing_access, unknown
from playground.rest.identity import guild_of
from playground.rest.route import Call, Route

JsonObject = dict[str, Any]


def _scope(call: Call) -> tuple[int | None, dict[int, JsonObject]]:
    world = call.core.world
    if call.id("application_id") != world.application_id:
        raise missing_access()
    guild_id = guild_of(call).id if "guild_id" in call.params else None
    return guild_id, world.commands.setdefault(guild_id, {})


def _clean(option: JsonObject) -> JsonObject:
    kept = {k: v for k, v in option.items() if v is not None and v not in ({}, [])}
    # False and 0 are meaningful; Discord never returns an empty list or a null.
    if "options" in kept:
        kept["options"] = [_clean(o) for o in kept["options"]]
    if "choices" in kept:
        kept["choices"] = [{k: v for k, v in c.items() if v is not None} for c in kept["choices"]]
    return kept


def _stored(
    call: Call, body: JsonObject, guild_id: int | None, old: JsonObject | None
) -> JsonObject:
    world = call.core.world
    permission = body.get("default_member_permissions")
    entry: JsonObject = {
        "id": old["id"] if old else str(world.snowflakes.next()),
        "application_id": str(world.application_id),
        "version": "0",
        "type": int(body.get("type") or 1),
        "name": body["name"],
        "name_localizations": body.get("name_localizations"),
        "description": body.get("description") or "",
        "description_localizations": body.get("description_localizations"),
        "options": [_clean(o) for o in body.get("options") or []],
        "default_member_permissions": None if permission is None else str(permission),
        "nsfw": bool(body.get("nsfw")),
        "integration_types": body.get("integration_types") or [0],
        "contexts": body.get("contexts"),
    }
    if guild_id is None:
        entry["dm_permission"] = body.get("dm_permission") is not False
    else:
        entry["guild_id"] = str(guild_id)
    same = old is not None and {**old, "version": "0"} == entry
    entry["version"] = old["version"] if old and same else str(world.snowflakes.next())
    return entry


async def overwrite(call: Call) -> list[JsonObject]:
    guild_id, scope = _scope(call)
    bodies: list[JsonObject] = call.body or []
    call.core.demand(limits_commands.check_scope(bodies), call.where)
    old = {(c["type"], c["name"]): c for c in scope.values()}
    entries = [_stored(call, b, guild_id, old.get((b.get("type") or 1, b["name"]))) for b in bodies]
    scope.clear()
    scope.update({int(entry["id"]): entry for entry in entries})
    return entries


async def listed(call: Call) -> list[JsonObject]:
    return list(_scope(call)[1].values())


async def upsert(call: Call) -> JsonObject:
    guild_id, scope = _scope(call)
    body = call.object()
    call.core.demand(list(limits_commands.check_command(body)), call.where)
    key = (body.get("type") or 1, body["name"])
    old = next((c for c in scope.values() if (c["type"], c["name"]) == key), None)
    most = limits_commands.PER_SCOPE[key[0]]
    if old is None and sum(1 for c in scope.values() if c["type"] == key[0]) >= most:
        raise ApiError(400, 30032, f"Maximum number of application commands reached ({most}).")
    entry = _stored(call, body, guild_id, old)
    scope[int(entry["id"])] = entry
    return entry


def _one(call: Call) -> tuple[int | None, dict[int, JsonObject], JsonObject]:
    guild_id, scope = _scope(call)
    entry = scope.get(call.id("command_id"))
    if entry is None:
        raise unknown(10063, "application command")
    return guild_id, scope, entry


async def get_one(call: Call) -> JsonObject:
    return _one(call)[2]


async def edit_one(call: Call) -> JsonObject:
    guild_id, scope, old = _one(call)
    body = {**old, **call.object()}
    call.core.demand(list(limits_commands.check_command(body)), call.where)
    entry = _stored(call, body, guild_id, old)
    scope[int(entry["id"])] = entry
    return entry


async def delete_one(call: Call) -> None:
    _, scope, entry = _one(call)
    del scope[int(entry["id"])]


def routes() -> Iterable[Route]:
    """The routes of this file."""
    answer: list[Route] = []
    for base in (
        "/applications/{application_id}/commands",
        "/applications/{application_id}/guilds/{guild_id}/commands",
    ):
        answer += [
            Route("PUT", base, overwrite),
            Route("GET", base, listed),
            Route("POST", base, upsert),
            Route("GET", base + "/{command_id}", get_one),
            Route("PATCH", base + "/{command_id}", edit_one),
            Route("DELETE", base + "/{command_id}", delete_one),
        ]
    return answer
