"""Settings as people enter them: what kind each is, and its value from a text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, get_args

from pydantic import ValidationError

from bot.errors import InvalidRequest, UserError
from bot.levels.fields import (
    FORCED_MAX,
    LIST_MAX,
    ROLES_MAX,
    Buttons,
    LevelFields,
    bounds_of,
)
from bot.levels.level import Level
from bot.levels.levels import FIELDS
from bot.request import PROMPT_MAX, UPSCALE_SCALES, Draft, compose, find_model
from bot.request.offers import find_adapter
from bot.request.syntax import parse_adapters, parse_size
from bot.settings.image_check import ImageCheck
from catalog import SCHEDULERS, TAG, Catalog, ModelEntry

YES, NO = "yes", "no"
TAGS_SHOWN: Final = 10


class Kind(StrEnum):
    """How a setting is entered."""

    FLAG = "flag"
    NUMBER = "number"
    CHOICE = "choice"
    NAMES = "names"
    ROLES = "roles"
    CHANNEL = "channel"
    TEXT = "text"


KINDS: Final[Mapping[str, Kind]] = {
    "language": Kind.CHOICE,
    "model": Kind.TEXT,
    "loras": Kind.TEXT,
    "size": Kind.TEXT,
    "steps": Kind.NUMBER,
    "guidance": Kind.NUMBER,
    "scheduler": Kind.CHOICE,
    "negative": Kind.TEXT,
    "spoiler": Kind.FLAG,
    "ping": Kind.FLAG,
    "private": Kind.FLAG,
    "compact": Kind.FLAG,
    "paint": Kind.FLAG,
    "roles": Kind.ROLES,
    "priority_roles": Kind.ROLES,
    "buttons": Kind.CHOICE,
    "quota": Kind.NUMBER,
    "cooldown": Kind.NUMBER,
    "allow_models": Kind.NAMES,
    "block_models": Kind.NAMES,
    "allow_loras": Kind.NAMES,
    "block_loras": Kind.NAMES,
    "max_steps": Kind.NUMBER,
    "max_megapixels": Kind.NUMBER,
    "max_count": Kind.NUMBER,
    "max_cells": Kind.NUMBER,
    "max_upscale": Kind.CHOICE,
    "forced_negative": Kind.TEXT,
    "forced_spoiler": Kind.FLAG,
    "image_check": Kind.CHOICE,
    "reactions": Kind.FLAG,
    "keep_days": Kind.NUMBER,
    "audit_channel": Kind.CHANNEL,
    "welcome": Kind.FLAG,
}
"""Every setting, in the order in which they are listed."""
LONGEST: Final[Mapping[str, int]] = {
    "negative": PROMPT_MAX,
    "forced_negative": FORCED_MAX,
    "loras": 300,
    **{name: 4_000 for name, kind in KINDS.items() if kind is Kind.NAMES},
}
"""Characters of what is entered; 1,000 of any other. A form takes no more than 4,000."""
TEXT_MAX: Final = 1_000
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}([.,][0-9]{1,6})?")
_ROLE: Final = re.compile(r"<@&([0-9]{1,19})>|\b([0-9]{1,19})\b")
_CHANNEL: Final = re.compile(r"<#([0-9]{1,19})>|([0-9]{1,19})")


def _none(_: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Entering:
    """Reads what is entered at one level.

    catalog: what may be used there by the levels above. nsfw: whether gated entries may be named
    where it is entered. languages: those that there are texts in. is_role: whether the server has
    a role with that ID. may_tell: whether it has such a channel, in which the bot may write.
    """

    level: Level
    catalog: Catalog
    nsfw: bool
    languages: Sequence[str]
    is_role: Callable[[int], bool] = _none
    may_tell: Callable[[int], bool] = _none

    @property
    def fields(self) -> type[LevelFields]:
        return FIELDS[self.level]

    @property
    def names(self) -> tuple[str, ...]:
        """The settings of this level, in the order of KINDS."""
        return tuple(name for name in KINDS if self.has(name))

    def has(self, name: str) -> bool:
        """Whether there is such a setting at this level."""
        return name in KINDS and name in self.fields.model_fields

    def choices(self, name: str) -> tuple[str, ...]:
        """The texts that may be entered; empty for what is no choice."""
        match name:
            case "language":
                return tuple(self.languages)
            case "scheduler":
                return SCHEDULERS
            case "buttons":
                return get_args(Buttons)
            case "image_check":
                return get_args(ImageCheck)
            case "max_upscale":
                return ("1", *(f"{scale:g}" for scale in UPSCALE_SCALES))
            case _ if KINDS[name] is Kind.FLAG:
                return (YES, NO)
            case _:
                return ()

    def read(self, name: str, text: str) -> Any:
        """The value that `text` stands for; None for an empty one.

        Raises InvalidRequest, or Refused for an entry that may not be used there.
        """
        text = text.strip()
        if not text:
            return None
        value = self._value(name, text)
        try:
            return getattr(self.fields(**{name: value}), name)
        except ValidationError as error:
            raise self._wrong(name, text) from error

    def _value(self, name: str, text: str) -> Any:
        match KINDS[name]:
            case Kind.FLAG | Kind.CHOICE:
                return self._chosen(name, text)
            case Kind.NUMBER:
                return self._number(name, text)
            case Kind.NAMES:
                return self._names(name, text)
            case Kind.ROLES:
                return self._roles(name, text)
            case Kind.CHANNEL:
                return self._channel(name, text)
            case _:
                return self._text(name, text)

    def _chosen(self, name: str, text: str) -> Any:
        choices = self.choices(name)
        meant = next((each for each in choices if each.casefold() == text.casefold()), None)
        if meant is None:
            raise InvalidRequest(name, "settings.invalid.choice", value=text, allowed=choices)
        if KINDS[name] is Kind.FLAG:
            return meant == YES
        return float(meant) if name == "max_upscale" else meant

    def _number(self, name: str, text: str) -> float:
        whole = "int" in str(self.fields.model_fields[name].annotation)
        low, high = bounds_of(self.fields, name) or (0, 0)
        form = _WHOLE if whole else _NUMBER
        number = float(text.replace(",", ".")) if form.fullmatch(text) else -1
        if not low <= number <= high:
            code = "settings.invalid.whole" if whole else "settings.invalid.number"
            raise InvalidRequest(name, code, value=text, min=low, max=high)
        return int(number) if whole else number

    def _roles(self, name: str, text: str) -> tuple[int, ...]:
        found = dict.fromkeys(int(one or other) for one, other in _ROLE.findall(text))
        named = bool(found) and all(map(self.is_role, found))
        if not named or _ROLE.sub("", text).strip(", \n"):
            raise InvalidRequest(name, "settings.invalid.role", value=text[:TEXT_MAX])
        if len(found) > ROLES_MAX:
            raise InvalidRequest(name, "settings.invalid.many", value=len(found), max=ROLES_MAX)
        return tuple(found)

    def _channel(self, name: str, text: str) -> int:
        found = _CHANNEL.fullmatch(text)
        channel = int(found[1] or found[2]) if found else 0
        if not self.may_tell(channel):
            raise InvalidRequest(name, "settings.invalid.channel", value=text[:TEXT_MAX])
        return channel

    def _wrong(self, name: str, text: str) -> InvalidRequest:
        if name == "forced_negative":
            return InvalidRequest(name, "settings.invalid.forced", max=FORCED_MAX)
        if name == "size":
            return InvalidRequest(name, "size.form", value=text[:TEXT_MAX])
        return InvalidRequest(name, "settings.invalid.value", value=text[:TEXT_MAX])

    def _names(self, name: str, text: str) -> tuple[str, ...]:
        named = [part.strip() for part in text.split(",") if part.strip()]
        if len(named) > LIST_MAX:
            raise InvalidRequest(name, "settings.invalid.many", value=len(named), max=LIST_MAX)
        one = self._model if name.endswith("models") else self._lora
        found = tuple(dict.fromkeys(self._tag(name, each) or one(each) for each in named))
        if len(", ".join(found)) > LONGEST[name]:
            raise InvalidRequest(name, "settings.invalid.long", max=LONGEST[name])
        return found

    def _tag(self, name: str, text: str) -> str | None:
        """The tag; None if it is none. Raises InvalidRequest if no entry has it."""
        if not text.startswith(TAG):
            return None
        tag = text.removeprefix(TAG).strip().casefold()
        entries = self.catalog.models if name.endswith("models") else self.catalog.adapters
        tagged = [entry for entry in entries.values() if self.nsfw or not entry.nsfw]
        known = {each.casefold() for entry in tagged for each in entry.tags}
        if tag not in known:
            shown = tuple(f"{TAG}{each}" for each in sorted(known)[:TAGS_SHOWN])
            if not shown:
                raise InvalidRequest(name, "settings.invalid.no_tags", value=text)
            raise InvalidRequest(name, "settings.invalid.tag", value=text, known=shown)
        return f"{TAG}{tag}"

    def _model(self, text: str) -> str:
        # An exact key may be named anywhere: a gated model can be blocked in any channel.
        return text if text in self.catalog.models else self._find_model(text)

    def _find_model(self, text: str) -> str:
        return find_model(self.catalog, text, nsfw=self.nsfw).key

    def _lora(self, text: str) -> str:
        if text in self.catalog.adapters:
            return text
        usual = self._usual_model()
        return find_adapter(self.catalog, text, model=usual, nsfw=self.nsfw).key

    def _usual_model(self) -> ModelEntry:
        key = self.catalog.default or next(iter(self.catalog.models), "")
        return find_model(self.catalog, key, nsfw=True)

    def _text(self, name: str, text: str) -> str:
        match name:
            case "model":
                return self._find_model(text)
            case "loras":
                self._check_loras(text)
            case "size":
                self._check_size(text)
            case "negative":
                self._check_negative(text)
        return text

    def _check_loras(self, text: str) -> None:
        for ask in parse_adapters(text, self.catalog.adapters_called):
            if not self.catalog.adapters_called(ask.name):
                find_adapter(self.catalog, ask.name, model=self._usual_model(), nsfw=self.nsfw)

    def _check_size(self, text: str) -> None:
        model = self._usual_model()
        parse_size(text, model.size, model.family)

    def _check_negative(self, text: str) -> None:
        draft = Draft(prompt="-", negative=text)
        try:
            compose(draft, self.catalog, nsfw=self.nsfw)
        except UserError as error:
            if isinstance(error, InvalidRequest) and error.field != "negative":
                return  # of something else, such as a catalog without models
            raise
