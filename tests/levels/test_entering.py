"""What people enter as settings: what is taken, and what is refused rather than guessed."""

from typing import Any

import pytest

from bot.errors import InvalidRequest
from bot.levels import Level
from bot.levels.entering import Entering
from bot.levels.fields import LIST_MAX, ROLES_MAX
from catalog import Catalog, ModelEntry

ROLES, CHANNEL = range(100, 150), 7
MODELS = {f"{n:02}".ljust(48, "x"): n for n in range(LIST_MAX)}
ENTERING = Entering(
    level=Level.SERVER,
    catalog=Catalog({key: ModelEntry(key=key, name=key, path="a/b") for key in MODELS}, {}, ""),
    nsfw=False,
    languages=("en",),
    is_role=ROLES.__contains__,
    may_tell=CHANNEL.__eq__,
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("roles", "<@&100>", (100,)),
        ("roles", "<@&100><@&101>, 102 <@&100>", (100, 101, 102)),
        ("roles", " ", None),
        ("audit_channel", "<#7>", 7),
        ("audit_channel", "7", 7),
        ("audit_channel", "", None),
    ],
)
def test_what_is_mentioned_is_taken(name: str, text: str, value: Any) -> None:
    assert ENTERING.read(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("roles", "Artists", "settings.invalid.role"),
        ("roles", "<@&100> Artists", "settings.invalid.role"),
        ("roles", "<@&999>", "settings.invalid.role"),
        ("roles", "<@100>", "settings.invalid.role"),
        ("priority_roles", "all", "settings.invalid.role"),
        ("roles", ",", "settings.invalid.role"),
        ("roles", " ".join(map(str, ROLES[: ROLES_MAX + 1])), "settings.invalid.many"),
        ("audit_channel", "#mods", "settings.invalid.channel"),
        ("audit_channel", "<#8>", "settings.invalid.channel"),
        ("audit_channel", "<#7> <#8>", "settings.invalid.channel"),
        ("allow_models", ", ".join(MODELS), "settings.invalid.long"),
    ],
)
def test_what_names_none_is_never_a_reset(name: str, text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        ENTERING.read(name, text)
    assert error.value.code == code
