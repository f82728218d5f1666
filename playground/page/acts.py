"""The user's actions on the page. Each act is one call and one method of ``User``.

``POST /api/<act>`` with a JSON object. Every body has ``as``: the id of the acting user. Ids are
snowflakes as text. The acts and the rest of their bodies::

    say           {channel, text, reply_to?, files?: [file]}      -> {message}
    slash         {channel, command: "group sub", options: {name: value}}
    autocomplete  {channel, command, option, typed, options}      -> {choices: [{name, value}]}
    menu          {channel, name, message} or {channel, name, user}: a context menu command
    click         {message, component}: the custom_id of a button
    select        {message, component, values}: the custom_id of any select; values are the values
                  of string options, or the ids of users, roles and channels
    submit        {form, values: {custom_id: value}}: the form that an earlier act opened
    react         {message, emoji}                                -> {}
    unreact       {message, emoji}                                -> {}
    delete        {message}: one's own, or any for who may manage messages  -> {}
    locale        {locale}                                        -> {}

A file is ``{name, data: base64}``. The value of a field in ``submit`` depends on its kind: text for
a text input, a value or null for a radio group, true or false for a checkbox, a list of values for
a string select and a checkbox group, a list of ids for the other selects, a list of files for a
file upload. Fields left out keep their defaults.

``slash``, ``menu``, ``click``, ``select`` and ``submit`` begin an interaction and answer
``{interaction}``. If the bot opened a form, there is also ``form``, the ``data`` of its callback as
Discord sends it (``{custom_id, title, components}``); ``interaction`` is then the ``form`` of the
``submit`` to come. A refused submit leaves the form open.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from playground import components, forms, options
from playground.accounts import Account, Role
from playground.core import Core
from playground.errors import ClientRefused
from playground.interactions import Interaction
from playground.limits_commands import LOCALES
from playground.options import File
from playground.page.body import Malformed, shown
from playground.rest import reactions
from playground.state import Channel, Message
from playground.user import User

JsonObject = dict[str, Any]
OBJECTS = frozenset({options.USER, options.CHANNEL, options.ROLE, options.MENTIONABLE})


@dataclass(frozen=True)
class Call:
    """One call: the acting user and the body."""

    who: User
    body: JsonObject

    def text(self, name: str) -> str:
        value = self.body.get(name)
        if not isinstance(value, str):
            raise Malformed(f"{name}: {shown(value)} is not text")
        return value

    def number(self, name: str) -> int:
        """A snowflake, sent as text because JavaScript numbers cannot hold it."""
        try:
            return int(self.text(name))
        except ValueError:
            raise Malformed(f"{name}: {shown(self.body[name])} is not an id") from None

    def values(self, name: str) -> JsonObject:
        value = self.body.get(name, {})
        if not isinstance(value, dict):
            raise Malformed(f"{name}: {shown(value)} is not an object")
        return value

    def list(self, name: str) -> list[Any]:
        value = self.body.get(name) or []
        if not isinstance(value, list):
            raise Malformed(f"{name}: {shown(value)} is not a list")
        return value

    def command(self) -> str:
        """The words of a command, at least one."""
        words = self.text("command")
        if not words.split():
            raise Malformed("command: '' names no command")
        return words


class Acts:
    """Resolves what a call refers to, and performs it as the user."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._forms: dict[int, Interaction] = {}
        self._acts: dict[str, Callable[[Call], Awaitable[JsonObject]]] = {
            "say": self._say,
            "slash": self._slash,
            "autocomplete": self._autocomplete,
            "menu": self._menu,
            "click": self._click,
            "select": self._select,
            "submit": self._submit,
            "react": self._react,
            "unreact": self._unreact,
            "delete": self._delete,
            "locale": self._locale,
        }

    def knows(self, act: str) -> bool:
        return act in self._acts

    async def do(self, act: str, call: Call) -> JsonObject:
        """Perform an act; returns the response to the page.

        Raises Malformed, ClientRefused for what Discord's client would not send, NotAcknowledged
        if the bot does not respond in time, ApiError for what Discord itself rejects.
        """
        return await self._acts[act](call)

    async def _say(self, call: Call) -> JsonObject:
        replied = self._message(call, "reply_to") if call.body.get("reply_to") else None
        files = tuple(_file(entry) for entry in call.list("files"))
        message = await call.who.say(
            self._channel(call), call.text("text"), reply_to=replied, files=files
        )
        return {"message": str(message.id)}

    async def _slash(self, call: Call) -> JsonObject:
        where, words = self._channel(call), call.command()
        given = self._given(where, words, call.values("options"))
        return self._began(await call.who.slash_options(words, given, channel=where))

    async def _autocomplete(self, call: Call) -> JsonObject:
        where, words = self._channel(call), call.command()
        given = self._given(where, words, call.values("options"))
        found = await call.who.autocomplete_options(
            words, call.text("option"), call.text("typed"), given, channel=where
        )
        return {"choices": [{"name": c.name, "value": c.value} for c in found]}

    async def _menu(self, call: Call) -> JsonObject:
        target: Message | Account
        if call.body.get("message"):
            target = self._message(call)
        else:
            target = self._account(call.number("user"))
        where = self._channel(call)
        return self._began(await call.who.context_menu(call.text("name"), target, channel=where))

    async def _click(self, call: Call) -> JsonObject:
        return self._began(await call.who.click(self._message(call), call.text("component")))

    async def _select(self, call: Call) -> JsonObject:
        message, name = self._message(call), call.text("component")
        values: list[Any] = [_text("values", value) for value in call.list("values")]
        entries = components.interactive(message.components)
        entry = next((e for e in entries if e.get("custom_id") == name), {})
        if entry.get("type") in components.ENTITY_SELECTS:
            values = [self._object(message.channel, value) for value in values]
        return self._began(await call.who.select(message, name, values))

    async def _submit(self, call: Call) -> JsonObject:
        form = self._forms.get(call.number("form"))
        if form is None:
            raise ClientRefused("this form is no longer open")
        fields = forms.inputs(form.modal or {})
        values = {
            name: self._typed(name, value, fields.get(name, {}).get("type"), form.channel)
            for name, value in call.values("values").items()
        }
        answer = self._began(await call.who.submit(form, values))
        del self._forms[form.id]
        return answer

    async def _react(self, call: Call) -> JsonObject:
        await call.who.react(self._message(call), _emoji(call))
        return {}

    async def _unreact(self, call: Call) -> JsonObject:
        await call.who.unreact(self._message(call), call.text("emoji"))
        return {}

    async def _delete(self, call: Call) -> JsonObject:
        await call.who.delete(self._message(call))
        return {}

    async def _locale(self, call: Call) -> JsonObject:
        locale = call.text("locale")
        if locale not in LOCALES:
            raise Malformed(f"locale: {shown(locale)} is not one of Discord's")
        call.who.locale = locale
        self._core.signal.notify()
        return {}

    # What a call refers to.

    def _channel(self, call: Call) -> Channel:
        channel = self._core.world.channels.get(call.number("channel"))
        if channel is None:
            raise ClientRefused("this channel does not exist any more")
        return channel

    def _message(self, call: Call, name: str = "message") -> Message:
        number = call.number(name)
        for channel in self._core.world.channels.values():
            if number in channel.messages:
                return channel.messages[number]
        raise ClientRefused("this message does not exist any more")

    def _account(self, number: int) -> Account:
        account = self._core.world.accounts.get(number)
        if account is None:
            raise Malformed(f"there is no user {number}")
        return account

    def _object(self, where: Channel, value: Any) -> Account | Role | Channel:
        """The user, role or channel with this id."""
        try:
            number = int(_text("an option", value))
        except ValueError:
            raise Malformed(f"{shown(value)} is not an id") from None
        roles = where.guild.roles if where.guild else {}
        for known in (self._core.world.accounts, roles, self._core.world.channels):
            if number in known:
                found: Account | Role | Channel = known[number]
                return found
        raise ClientRefused(f"there is no user, role or channel {number}")

    def _given(self, where: Channel, words: str, values: JsonObject) -> JsonObject:
        """The options as ``User`` takes them: ids become objects, files become bytes."""
        kinds = {o["name"]: o["type"] for o in self._options_of(where, words)}
        given: JsonObject = {}
        for name, value in values.items():
            if kinds.get(name) in OBJECTS:
                given[name] = self._object(where, value)
            elif kinds.get(name) == options.ATTACHMENT:
                given[name] = _file(value)
            else:
                given[name] = value
        return given

    def _typed(self, name: str, value: Any, kind: int | None, where: Channel) -> Any:
        """The value of one form field of this kind: ids become objects, files become bytes."""
        if kind == components.FILE_UPLOAD:
            if not isinstance(value, list):
                raise Malformed(f"{name}: {shown(value)} is not a list of files")
            return [_file(entry) for entry in value]
        if kind in forms.LIST_VALUED:
            entries = value if isinstance(value, list) else [value]
            values = [_text(name, entry) for entry in entries]
            if kind in components.ENTITY_SELECTS:
                return [self._object(where, entry) for entry in values]
            return values
        if kind == components.CHECKBOX:
            if not isinstance(value, bool):
                raise Malformed(f"{name}: {shown(value)} is not true or false")
            return value
        if kind == components.RADIO and value is None:
            return None
        return _text(name, value)

    def _options_of(self, where: Channel, words: str) -> list[JsonObject]:
        found = [c for c in self._core.world.visible_commands(where.guild) if c["type"] == 1]
        for word in words.split():
            chosen: JsonObject = next((c for c in found if c["name"] == word), {})
            found = chosen.get("options") or []
        return found

    def _began(self, call: Interaction) -> JsonObject:
        answer: JsonObject = {"interaction": str(call.id)}
        if call.modal is not None:
            self._forms[call.id] = call
            answer["form"] = call.modal
        return answer


def _file(entry: Any) -> File:
    """The file from ``{"name": …, "data": base64}``."""
    try:
        return File(str(entry["name"]), base64.b64decode(entry["data"], validate=True))
    except (KeyError, TypeError, ValueError):
        raise Malformed("a file must be an object with name and data (base64)") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{name}: {shown(value)} is not text")
    return value


def _emoji(call: Call) -> str:
    return reactions.emoji_key(call.text("emoji"))
