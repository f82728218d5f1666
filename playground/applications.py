"""The bot's application, and the team that owns it, in Discord's JSON."""

from typing import Any

from playground.accounts import Account
from playground.payloads import user
from playground.world import World

JsonObject = dict[str, Any]


def application(world: World) -> JsonObject:
    """The bot's application, as returned by ``/oauth2/applications/@me``."""
    return {
        "id": str(world.application_id),
        "name": world.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(world.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "integration_types_config": {"0": {}, "1": {}},
        "verify_key": "0" * 64,
        "flags": 1 << 19,
        "flags_new": str(1 << 19),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(_team_user(world) if world.team else world.owner),
        "approximate_guild_count": len(world.guilds),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": team(world) if world.team else None,
        "eligible_oauth2_scopes": [],
    }


def team(world: World) -> JsonObject:
    """The team that owns the application."""
    identifier = str(_team_user(world).id)
    return {
        "id": identifier,
        "icon": None,
        "name": "team",
        "owner_user_id": str(world.team[0].account.id),
        "members": [
            {
                "user": user(member.account),
                "team_id": identifier,
                "membership_state": 2 if member.accepted else 1,
                "role": member.role,
                "permissions": ["*"],
            }
            for member in world.team
        ],
    }


def _team_user(world: World) -> Account:
    """The user that Discord shows as the owner of a team's application."""
    return Account(world.application_id + 1, f"team{world.application_id}")
