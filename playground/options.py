"""The command picker of Discord's client: turns values into the ``data`` of an interaction.

Raises ClientRefused for anything the client would not let a user send.
https://docs.discord.com/developers/interactions/application-commands#application-command-object-application-command-option-structure
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from playground import installs, payloads, permissions, resolved
from playground.accounts import Account, Role
from playground.errors import ClientRefused
from playground.state import Attachment, Channel
from playground.world import World

JsonObject = dict[str, Any]
SUBCOMMAND, GROUP = 1, 2
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(3, 12)
BIGGEST = 2**53
NITRO_FILE_MAX = 500 * 1024 * 1024
KINDS = {
    STRING: "text", INTEGER: "a whole number", BOOLEAN: "True or False", USER: "a user",
    CHANNEL: "a channel", ROLE: "a role", MENTIONABLE: "a user or role", NUMBER: "a number",
    ATTACHMENT: "a file: File(name, bytes)",
}  # fmt: skip


class File(NamedTuple):
    """A file that a user attaches; a plain ``(name, bytes)`` tuple works too."""

    name: str
    data: bytes


@dataclass
class Picker:
    """Builds the data of one command; ``upload`` stores a file and returns its attachment.

    ``file_max``: bytes the user may attach, which may be more than the bot may.
    """

    world: World
    user: Account
    channel: Channel
    upload: Callable[[str, bytes], Attachment]
    resolved: dict[str, JsonObject] = field(default_factory=dict)
    file_max: int = NITRO_FILE_MAX

    def find(self, name: str, kind: int) -> JsonObject:
        """The command as the user sees it here. Raises ClientRefused if they do not."""
        visible = [c for c in self.world.visible_commands(self.channel.guild) if c["type"] == kind]
        found = next((c for c in visible if c["name"] == name), None)
        if found is None:
            names = ", ".join(sorted(c["name"] for c in visible)) or "none"
            raise ClientRefused(f"there is no command {name!r} (type {kind}); available: {names}")
        self._check_place(found)
        return found

    def _check_place(self, command: JsonObject) -> None:
        name, channel = command["name"], self.channel
        if why := installs.refusal(command, channel, self.user, self.world):
            raise ClientRefused(why)
        if command.get("nsfw") and not channel.age_restricted and channel.guild:
            raise ClientRefused(f"/{name} is only for age-restricted channels, not {channel}")
        if channel.guild is None:
            return
        if not permissions.has(self.user, channel, "use_application_commands"):
            raise ClientRefused(f"{self.user.name} may not use commands in {channel}")
        if needed := permissions.lacking(command, self.user, channel):
            raise ClientRefused(f"/{name} needs permissions in {channel}: {', '.join(needed)}")

    def slash(
        self, words: str, values: dict[str, Any], focused: tuple[str, Any] | None = None
    ) -> tuple[JsonObject, JsonObject | None]:
        """Data for ``group sub`` with these option values, and the focused option if any."""
        name, *rest = words.split()
        command = self.find(name, 1)
        chain: list[JsonObject] = []
        options: list[JsonObject] = command.get("options") or []
        for word in rest:
            inner = [o for o in options if o["type"] in (SUBCOMMAND, GROUP)]
            chosen = next((o for o in inner if o["name"] == word), None)
            if chosen is None:
                names = ", ".join(o["name"] for o in inner) or "none"
                raise ClientRefused(f"/{words}: there is no {word!r}; available: {names}")
            chain.append(chosen)
            options = chosen.get("options") or []
        if any(o["type"] in (SUBCOMMAND, GROUP) for o in options):
            names = ", ".join(o["name"] for o in options)
            raise ClientRefused(f"/{words} is incomplete; continue with one of: {names}")
        given, focus = self._values(words, options, values, focused)
        for level in reversed(chain):
            given = [{"type": level["type"], "name": level["name"], "options": given}]
        return self._data(command, {"options": given} if given else {}), focus

    def _data(self, command: JsonObject, more: JsonObject) -> JsonObject:
        data: JsonObject = {"id": command["id"], "name": command["name"], "type": command["type"]}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        if self.resolved:
            data["resolved"] = self.resolved
        return data | more

    def context_menu(self, name: str, target: Any) -> JsonObject:
        """A context menu command on a message or a user."""
        kind = 2 if isinstance(target, Account) else 3
        command = self.find(name, kind)
        if isinstance(target, Account):
            self._resolve(target)
        else:
            self._put("messages", target.id, payloads.message(target, self.world))
        return self._data(command, {"target_id": str(target.id)})

    def _values(
        self,
        words: str,
        options: list[JsonObject],
        values: dict[str, Any],
        focused: tuple[str, Any] | None,
    ) -> tuple[list[JsonObject], JsonObject | None]:
        known = {o["name"]: o for o in options}
        given = dict(values)
        focus: JsonObject | None = None
        if focused is not None:
            focus = known.get(focused[0])
            if focus is None or not focus.get("autocomplete"):
                offered = ", ".join(o["name"] for o in options if o.get("autocomplete"))
                raise ClientRefused(
                    f"/{words}: {focused[0]!r} has no autocomplete; these do: {offered or 'none'}"
                )
        if strange := given.keys() - known.keys():
            allowed = ", ".join(known) or "none"
            raise ClientRefused(f"/{words} has no option {sorted(strange)}; it has: {allowed}")
        answer: list[JsonObject] = []
        for name, option in known.items():
            if focused is not None and name == focused[0]:
                # While typing, the value is text or a number that is not validated yet.
                entry = {"type": option["type"], "name": name, "value": focused[1]}
                answer.append(entry | {"focused": True})
            elif given.get(name) is not None:
                value = self._value(f"/{words} {name}", option, given[name])
                answer.append({"type": option["type"], "name": name, "value": value})
            elif option.get("required") and focused is None:
                raise ClientRefused(f"/{words}: the option {name!r} is required")
        return answer, focus

    def _value(self, where: str, option: JsonObject, value: Any) -> Any:
        kind: int = option["type"]
        if choices := option.get("choices"):
            for choice in choices:
                if value in (choice["value"], choice["name"]) and not isinstance(value, bool):
                    return choice["value"]
            names = ", ".join(repr(c["value"]) for c in choices)
            raise ClientRefused(f"{where}: {value!r} is not a choice; allowed: {names}")
        if kind == STRING and isinstance(value, str):
            least, most = option.get("min_length", 0), option.get("max_length", 6000)
            self._range(where, len(value), least, most, "characters")
            return value
        if kind == BOOLEAN and isinstance(value, bool):
            return value
        whole = isinstance(value, int) and not isinstance(value, bool)
        if (kind == INTEGER and whole) or (kind == NUMBER and (whole or isinstance(value, float))):
            least, most = option.get("min_value", -BIGGEST), option.get("max_value", BIGGEST)
            self._range(where, value, least, most, "as value")
            return value
        if kind == ATTACHMENT and isinstance(value, tuple):
            name, data = value
            self._range(f"{where}: {name}", len(data), 0, self.file_max, "bytes")
            stored = self.upload(name, data)
            self._put("attachments", stored.id, payloads.attachment(stored))
            return str(stored.id)
        if kind in (USER, MENTIONABLE) and isinstance(value, Account):
            return self._resolve(value)
        if kind in (ROLE, MENTIONABLE) and isinstance(value, Role):
            return self._resolve(value)
        if kind == CHANNEL and isinstance(value, Channel):
            types = option.get("channel_types")
            if types and int(value.type) not in types:
                raise ClientRefused(f"{where}: {value} is of type {int(value.type)}, not {types}")
            return self._resolve(value)
        raise ClientRefused(f"{where}: {value!r} is not {KINDS[kind]}")

    def _resolve(self, value: Account | Role | Channel) -> str:
        return resolved.add(self.resolved, value, self.channel, self.user)

    def _put(self, kind: str, identifier: int, shown: JsonObject) -> str:
        self.resolved.setdefault(kind, {})[str(identifier)] = shown
        return str(identifier)

    @staticmethod
    def _range(where: str, value: float, least: float, most: float, unit: str) -> None:
        if not least <= value <= most:
            raise ClientRefused(f"{where}: {value} {unit}; allowed: {least} to {most}")
