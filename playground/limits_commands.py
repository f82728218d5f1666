"""What Discord rejects in a command: https://docs.discord.com/developers/interactions/application-commands."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

from playground.errors import Problem

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
PER_SCOPE: dict[int, int] = {CHAT_INPUT: 100, USER: 15, MESSAGE: 15}
NAME, DESCRIPTION, TOTAL, OPTIONS, CHOICES, CHOICE_TEXT = 32, 100, 8000, 25, 25, 100
SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, NUMBER, ATTACHMENT = 1, 2, 3, 4, 5, 10, 11
COMMAND_KEYS = frozenset(
    [
        "id",
        "type",
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "options",
        "default_member_permissions",
        "dm_permission",
        "default_permission",
        "nsfw",
        "integration_types",
        "contexts",
        "handler",
        "version",
        "application_id",
        "guild_id",
    ]
)
OPTION_KEYS = frozenset(
    [
        "type",
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "required",
        "choices",
        "options",
        "channel_types",
        "min_value",
        "max_value",
        "min_length",
        "max_length",
        "autocomplete",
    ]
)
LOCALES = frozenset(
    [
        "ar",
        "bg",
        "cs",
        "da",
        "de",
        "el",
        "en-GB",
        "en-US",
        "es-419",
        "es-ES",
        "fi",
        "fr",
        "he",
        "hi",
        "hr",
        "hu",
        "id",
        "it",
        "ja",
        "ko",
        "lt",
        "nl",
        "no",
        "pl",
        "pt-BR",
        "ro",
        "ru",
        "sv-SE",
        "th",
        "tr",
        "uk",
        "vi",
        "zh-CN",
        "zh-TW",
    ]
)


def valid_name(name: str) -> bool:
    """``^[-_'\\p{L}\\p{N}\\p{sc=Deva}\\p{sc=Thai}]{1,32}$``, and in lower case if it has one."""
    if not 1 <= len(name) <= NAME or name != name.lower():
        return False
    return all(
        char in "-_'"
        or unicodedata.category(char)[0] in "LN"
        or "ऀ" <= char <= "ॿ"
        or "฀" <= char <= "๿"
        for char in name
    )


def check_scope(commands: list[JsonObject]) -> list[Problem]:
    """The problems with the commands of a bulk overwrite."""
    problems: list[Problem] = []
    kinds = Counter(int(c.get("type") or CHAT_INPUT) for c in commands)
    for kind, most in PER_SCOPE.items():
        if kinds[kind] > most:
            problems.append(
                Problem(
                    (),
                    "APPLICATION_COMMANDS_MAXIMUM_NUMBER_REACHED",
                    f"{kinds[kind]} commands of type {kind}, the limit is {most}",
                )
            )
    seen: set[tuple[int, str]] = set()
    for index, command in enumerate(commands):
        key = (int(command.get("type") or CHAT_INPUT), str(command.get("name")))
        if key in seen:
            problems.append(
                Problem(
                    (index, "name"),
                    "APPLICATION_COMMANDS_DUPLICATE_NAME",
                    f"Application command names must be unique: {key[1]!r}",
                )
            )
        seen.add(key)
        problems += check_command(command, (index,))
    return problems


def check_command(command: JsonObject, path: Path = ()) -> Iterator[Problem]:
    """The problems with one command."""
    kind = int(command.get("type") or CHAT_INPUT)
    for key in command.keys() - COMMAND_KEYS:
        yield Problem((*path, key), "PLAYGROUND_UNKNOWN_KEY", f"Discord ignores {key!r}", False)
    name, description = str(command.get("name") or ""), command.get("description") or ""
    options = command.get("options") or []
    if kind == CHAT_INPUT:
        yield from _name(path, command, "APPLICATION_COMMAND_INVALID_NAME")
        yield from _description(path, command)
    else:
        localized = command.get("name_localizations") or {}
        yield from _locales((*path, "name_localizations"), localized)
        names = {("name",): name} | {("name_localizations", k): v for k, v in localized.items()}
        for where, value in names.items():
            if not 1 <= len(str(value)) <= NAME:
                yield Problem(
                    (*path, *where), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length."
                )
        if description:
            yield Problem(
                (*path, "description"),
                "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION_NOT_ALLOWED",
                "Context menu commands cannot have description",
            )
        if options:
            yield Problem(
                (*path, "options"),
                "APPLICATION_COMMAND_CONTEXT_MENU_OPTIONS_NOT_ALLOWED",
                "Context menu commands cannot have options",
            )
    yield from _options(options, path, parent=None)
    total = _text(command)
    if total > TOTAL:
        yield Problem(
            path,
            "APPLICATION_COMMAND_TOO_LARGE",
            f"Command exceeds maximum size ({TOTAL}); it is {total}",
        )


def _name(path: Path, entry: JsonObject, code: str) -> Iterator[Problem]:
    names: dict[Path, Any] = {(): entry.get("name") or ""}
    localized = entry.get("name_localizations") or {}
    names |= {(locale,): value for locale, value in localized.items()}
    yield from _locales((*path, "name_localizations"), localized)
    for where, value in names.items():
        if not valid_name(str(value)):
            key = "name_localizations" if where else "name"
            yield Problem(
                (*path, key, *where),
                code,
                f"{value!r} is not a valid name: 1 to 32 letters, digits, - _ ', lower case",
            )


def _description(path: Path, entry: JsonObject) -> Iterator[Problem]:
    localized = entry.get("description_localizations") or {}
    yield from _locales((*path, "description_localizations"), localized)
    texts: dict[Path, Any] = {("description",): entry.get("description") or ""}
    texts |= {("description_localizations", k): v for k, v in localized.items()}
    for where, value in texts.items():
        if not 1 <= len(str(value)) <= DESCRIPTION:
            yield Problem(
                (*path, *where),
                "BASE_TYPE_BAD_LENGTH",
                f"Must be between 1 and {DESCRIPTION} in length; it is {len(str(value))}.",
            )


def _locales(path: Path, localized: JsonObject) -> Iterator[Problem]:
    for locale in localized.keys() - LOCALES:
        yield Problem(
            (*path, locale),
            "BASE_TYPE_CHOICES",
            f"{locale!r} is not one of {sorted(LOCALES)}",
        )


def _options(options: list[JsonObject], path: Path, parent: int | None) -> Iterator[Problem]:
    if len(options) > OPTIONS:
        yield Problem(
            (*path, "options"),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {OPTIONS} or fewer in length; there are {len(options)}.",
        )
    nested = [o.get("type") in (SUBCOMMAND, GROUP) for o in options]
    if any(nested) and not all(nested):
        yield Problem((*path, "options"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
                      "Sub-command and sub-command group options are mutually exclusive to "
                      "regular options")  # fmt: skip
    seen: set[str] = set()
    optional = False
    for index, option in enumerate(options):
        where = (*path, "options", index)
        if option.get("name") in seen:
            yield Problem(
                (*where, "name"),
                "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS",
                f"Option name already exists: {option.get('name')!r}",
            )
        seen.add(str(option.get("name")))
        if option.get("required") and optional:
            yield Problem(
                (*where, "required"),
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional = optional or not option.get("required")
        yield from _option(option, where, parent)


def _option(option: JsonObject, path: Path, parent: int | None) -> Iterator[Problem]:
    kind = int(option.get("type") or 0)
    for key in option.keys() - OPTION_KEYS:
        yield Problem((*path, key), "PLAYGROUND_UNKNOWN_KEY", f"Discord ignores {key!r}", False)
    yield from _name(path, option, "APPLICATION_COMMAND_INVALID_NAME")
    yield from _description(path, option)
    if not SUBCOMMAND <= kind <= ATTACHMENT:
        yield Problem((*path, "type"), "BASE_TYPE_CHOICES", f"{kind} is not one of 1 to 11")
    # Commands contain groups and sub-commands, groups only sub-commands, those only values.
    misplaced = kind != SUBCOMMAND if parent == GROUP else parent and kind in (SUBCOMMAND, GROUP)
    if misplaced:
        yield Problem(
            (*path, "type"),
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
            f"type {kind} cannot be inside type {parent}",
        )
    if kind in (SUBCOMMAND, GROUP):
        yield from _options(option.get("options") or [], path, kind)
    choices = option.get("choices") or []
    if choices and option.get("autocomplete"):
        yield Problem((*path, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES",
                      "choices and autocomplete are mutually exclusive")  # fmt: skip
    if (choices or option.get("autocomplete")) and kind not in (STRING, INTEGER, NUMBER):
        yield Problem((*path, "type"), "APPLICATION_COMMAND_OPTIONS_CHOICES_TYPE",
                      f"An option of type {kind} cannot have choices or autocomplete")  # fmt: skip
    if len(choices) > CHOICES:
        yield Problem(
            (*path, "choices"),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {CHOICES} or fewer in length; there are {len(choices)}.",
        )
    names: set[str] = set()
    for index, choice in enumerate(choices):
        for key in ("name", "value"):
            text = choice.get(key)
            if isinstance(text, str) and not 1 <= len(text) <= CHOICE_TEXT:
                yield Problem(
                    (*path, "choices", index, key),
                    "BASE_TYPE_BAD_LENGTH",
                    f"Must be between 1 and {CHOICE_TEXT} in length; it is {len(text)}.",
                )
        if choice.get("name") in names:
            yield Problem(
                (*path, "choices", index, "name"),
                "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_ALREADY_EXISTS",
                f"Option choice name already exists: {choice.get('name')!r}",
            )
        names.add(str(choice.get("name")))
    for low, high in (("min_value", "max_value"), ("min_length", "max_length")):
        least, most = option.get(low), option.get(high)
        if least is not None and most is not None and least > most:
            yield Problem((*path, low), "NUMBER_TYPE_MAX", f"{low} {least} is above {high} {most}")


def _text(entry: JsonObject) -> int:
    """The characters of name, description and values, counting the longest localization of each."""
    total = 0
    for key in ("name", "description"):
        localized = (entry.get(f"{key}_localizations") or {}).values()
        total += max((len(str(t)) for t in (entry.get(key) or "", *localized)), default=0)
    for choice in entry.get("choices") or []:
        total += len(str(choice.get("name") or ""))
        total += len(choice["value"]) if isinstance(choice.get("value"), str) else 0
    return total + sum(_text(option) for option in entry.get("options") or [])
