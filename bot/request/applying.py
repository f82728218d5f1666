"""Apply the presets that a draft names: their options count where the draft leaves them open.

A preset is one of the models' own (`draft`, `fast`), one that somebody saved, or a style of the
catalog. Several are given as `cinematic, fast`: for each option the first that sets it counts, and
the prompt is put into the words of one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from bot.errors import InvalidRequest, Refused, UserError
from bot.progress import Notice
from bot.request import emphasis
from bot.request.dialects.flags import extract_flags
from bot.request.dialects.forms import without_forms
from bot.request.draft import Draft
from bot.request.model import FAST, PRESETS
from bot.request.offers import NAMES_SHOWN, default_model, find_adapter, find_model
from bot.request.options import (
    Named,
    Options,
    is_gated_set,
    is_withheld_set,
    offers_set,
    offers_style,
)
from bot.request.syntax import parse_adapters
from catalog import Catalog
from catalog.search import Index, fold

NAMES_MAX: Final = 5
"""How many presets may be combined."""
_NEAREST: Final = 3
_ELSEWHERE: Final = ("prompt", "negative", "preset")
"""What is no option that is filled in where it was left open."""
_OPTIONS: Final = frozenset(own.name for own in fields(Options))
_MODEL_GONE: Final = ("model.unknown", "model.unlike", "model.several", "model.disabled")
_LORA_GONE: Final = (
    *("lora.unknown", "lora.unlike", "lora.several", "lora.disabled", "lora.embedding"),
)


@dataclass(frozen=True, slots=True)
class Applied:
    """draft: with the options of its presets; its own `preset` is one of PRESETS, or None.

    texts: the presets whose words go around what is typed, the innermost first. filled: the fields
    of the draft that a preset set, and nobody typed. notes: what of the presets' words was
    understood in another way than it may have been meant.
    """

    draft: Draft
    texts: tuple[Options, ...] = field(default=(), repr=False)
    filled: frozenset[str] = frozenset()
    notes: tuple[Notice, ...] = ()


def apply_presets(
    draft: Draft, catalog: Catalog, saved: Sequence[Named] = (), *, nsfw: bool
) -> Applied:
    """See the top of this file. saved: the first of those with one name counts.

    Raises InvalidRequest for a name that is none, and Refused for a preset that needs what is not
    offered here.
    """
    wanted = (draft.preset or "").strip()
    if not wanted:
        return Applied(replace(draft, preset=None))
    values: dict[str, Any] = {}
    setters: dict[str, str] = {}
    texts: list[Options] = []
    notes: list[Notice] = []
    for preset in _found(wanted, catalog, saved, nsfw=nsfw):
        options, named = _understood(preset.options)
        notes += named
        texts.append(options)
        for name, value in options.given.items():
            if name not in setters:
                values[name], setters[name] = value, preset.name
            elif name == "preset" and value != values[name]:
                raise InvalidRequest("preset", "presets.two", value=values[name], other=value)
    filled = {
        name: value
        for name, value in values.items()
        if name not in _ELSEWHERE
        and getattr(draft, name) is None
        and not (name == "lora" and draft.adapters)
    }
    applied = replace(draft, **{**filled, "preset": values.get("preset")})
    _check_there(applied, {name: setters[name] for name in filled}, catalog, nsfw=nsfw)
    untyped = {*filled}
    if setters.get("preset", FAST) not in PRESETS:
        untyped.add("preset")
    return Applied(applied, tuple(texts), frozenset(untyped), tuple(notes))


def _understood(options: Options) -> tuple[Options, tuple[Notice, ...]]:
    """With the flags of other programs in the prompt as options, as in a prompt that is typed."""
    if options.prompt is None:
        return options, ()
    flagged = extract_flags(options.prompt)
    prompt, named = without_forms(flagged.prompt)
    values: dict[str, Any] = {**flagged.options, **options.given, "prompt": prompt}
    if options.negative and (more := flagged.options.get("negative")):
        values["negative"] = emphasis.join([options.negative, str(more)])
    alone = [flag for option, flag in flagged.flags.items() if option not in _OPTIONS]
    left_out = (Notice("presets.left_out.flags", {"flags": ", ".join(alone)}),) if alone else ()
    return Options.from_dict(values), (*flagged.named, *left_out, *named)


def _found(
    wanted: str, catalog: Catalog, saved: Sequence[Named], *, nsfw: bool
) -> tuple[Named, ...]:
    """The presets that a text names. Raises InvalidRequest or Refused."""
    if one := _one(wanted, catalog, saved, nsfw=nsfw):
        return (one,)
    names = [name for part in wanted.split(",") if (name := part.strip())]
    if len(names) > NAMES_MAX:
        raise InvalidRequest("preset", "presets.many", value=len(names), max=NAMES_MAX)
    found = []
    for name in names:
        if (one := _one(name, catalog, saved, nsfw=nsfw)) is None:
            if near := _nearest(name, catalog, saved, nsfw=nsfw):
                raise InvalidRequest("preset", "presets.unknown", value=name, nearest=near)
            offered = _offered(catalog, saved, nsfw=nsfw)
            raise InvalidRequest("preset", "presets.unlike", value=name, offered=offered)
        found.append(one)
    return tuple(found)


def _one(name: str, catalog: Catalog, saved: Sequence[Named], *, nsfw: bool) -> Named | None:
    """The preset of that name. Raises Refused if it may not be used here."""
    if name.casefold() in PRESETS:
        return Named(name.casefold(), Options(preset=name.casefold()))
    wanted = fold(name)
    for own in saved:
        if fold(own.name) == wanted:
            _check_offered(name, own.options, catalog, gated=False, nsfw=nsfw)
            return own
    if (style := catalog.styles.find(name)) is None:
        return None
    options = Options.of(style)
    _check_offered(name, options, catalog, gated=style.nsfw, nsfw=nsfw)
    return Named(style.name, options)


def _check_offered(
    name: str, options: Options, catalog: Catalog, *, gated: bool, nsfw: bool
) -> None:
    """Raise Refused for a preset that may not be used here, without a name that it has in it."""
    if not nsfw and (gated or is_gated_set(options, catalog)):
        raise Refused("presets.gated", preset=name)
    if is_withheld_set(options, catalog):
        raise Refused("presets.withheld", preset=name)


def _nearest(name: str, catalog: Catalog, saved: Sequence[Named], *, nsfw: bool) -> tuple[str, ...]:
    known = [*saved, *(Named(each, Options()) for each in PRESETS)]
    index = Index((each.name, each.name) for each in known)
    numbers = index.nearest(
        name, lambda n: offers_set(known[n].options, catalog, nsfw=nsfw), _NEAREST
    )
    near = [known[number].name for number in numbers]
    near += catalog.styles.nearest(
        name, lambda style: offers_style(style, catalog, nsfw=nsfw), _NEAREST
    )
    return tuple(dict.fromkeys(near))[:_NEAREST]


def _offered(catalog: Catalog, saved: Sequence[Named], *, nsfw: bool) -> tuple[str, ...]:
    """The models' own, and some of what else may be used here: what is saved before the styles."""
    names = [each.name for each in saved if offers_set(each.options, catalog, nsfw=nsfw)]
    styles = catalog.styles.entries.values()
    names += [style.key for style in styles if offers_style(style, catalog, nsfw=nsfw)]
    return tuple(dict.fromkeys([*PRESETS, *names]))[:NAMES_SHOWN]


def _check_there(draft: Draft, setters: dict[str, str], catalog: Catalog, *, nsfw: bool) -> None:
    """Raise Refused for a model or LoRA of a preset that is gone, with the name of the preset: the
    person did not type it."""
    try:
        model = find_model(catalog, draft.model or default_model(catalog, nsfw=nsfw), nsfw=nsfw)
    except UserError as error:
        if error.code in _MODEL_GONE and draft.model and "model" in setters:
            preset = setters["model"]
            raise Refused("presets.model", preset=preset, name=draft.model) from None
        return  # what is wrong with a model that was typed is said where it is looked up
    if "lora" not in setters:
        return
    for ask in parse_adapters(draft.lora or "", catalog.adapters_called):
        try:
            find_adapter(catalog, ask.name, model=model, nsfw=nsfw)
        except UserError as error:
            if error.code in _LORA_GONE:
                preset = setters["lora"]
                raise Refused("presets.lora", preset=preset, name=ask.name) from None
