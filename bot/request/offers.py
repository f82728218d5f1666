"""Find the model or LoRA that a user named, if the catalog offers it here."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bot.errors import InvalidRequest, Refused, UserError
from bot.request.dynamic.naming import names_gated
from bot.request.embeddings import check_embeddings
from bot.request.model import GenerationRequest
from bot.request.naming import nameable
from bot.request.parts import DESCRIBE_STYLES, TAGS
from bot.request.syntax import NUMBER
from bot.request.unread import check_read
from catalog import AdapterEntry, Catalog, ControlNetEntry, ModelEntry, UpscalerEntry
from catalog.families import FAMILIES

Entry = TypeVar("Entry", ModelEntry, AdapterEntry)

NAMES_SHOWN: Final = 10


def check_offered(request: GenerationRequest, catalog: Catalog, *, nsfw: bool) -> None:
    """Raise if something that an earlier request needs is not offered here any more."""
    for each in request.each:
        if each.upscale is not None:
            find_upscaler(catalog, each.upscale.upscaler, nsfw=nsfw)
        if each.describe is not None:
            check_describer(catalog, each.describe.style)
        if each.model:
            model = find_model(catalog, each.model, nsfw=nsfw)
            for use in each.adapters:
                find_adapter(catalog, use.key, model=model, nsfw=nsfw)
            check_embeddings(each.all_embeddings, catalog, model=model, nsfw=nsfw)
            for control in each.controls:
                find_controlnet(catalog, control.key, model=model, nsfw=nsfw)
    if request.reference is not None:
        for each in request.each:
            check_reference(catalog, each.model)


def is_gated(request: GenerationRequest, catalog: Catalog) -> bool:
    """Whether the request uses anything that is only for age-restricted channels."""
    for each in request.each:
        model = catalog.models.get(each.model)
        adapters = (catalog.adapters.get(use.key) for use in each.adapters)
        embeddings = (catalog.embeddings.entries.get(use.key) for use in each.all_embeddings)
        upscale = each.upscale
        upscaler = catalog.upscalers.entries.get(upscale.upscaler) if upscale else None
        controls = (catalog.controlnets.entries.get(use.key) for use in each.controls)
        used = (model, *adapters, *embeddings, upscaler, *controls)
        if any(entry is not None and entry.nsfw for entry in used):
            return True
        typed = (each.template.prompt, each.template.negative) if each.template else ()
        if any(names_gated(text, catalog.wildcards) for text in typed if text):
            return True
    return False


def default_model(catalog: Catalog, *, nsfw: bool) -> str:
    """The key of the model for a request that names none; "" if none is offered here.

    Where the default one may not be used, it is the first that may.
    """
    default = catalog.models.get(catalog.default)
    if default is None or nsfw or not default.nsfw:
        return catalog.default
    return next((entry.key for entry in catalog.offered_models(nsfw=False)), "")


def editing_models(catalog: Catalog, *, nsfw: bool) -> tuple[ModelEntry, ...]:
    """The offered models that edit images, the default one first."""
    return tuple(m for m in catalog.offered_models(nsfw=nsfw) if m.pictures_max)


def usual_model(catalog: Catalog, *, nsfw: bool, edits: bool) -> str:
    """The key of the model for a request that names none; "" if none is offered here.

    edits: whether there are images to edit. Raises Refused if there are, and no model here does.
    """
    if not edits:
        return default_model(catalog, nsfw=nsfw)
    if not (able := editing_models(catalog, nsfw=nsfw)):
        raise Refused("edit.none")
    return able[0].key


def check_reference(catalog: Catalog, model: str) -> None:
    """Raise Refused if reference images are not set up here for the model with that key."""
    if catalog.reference_for(model) is None:
        family = catalog.family_of(model)
        raise Refused("reference.none", family=family.name, key=family.key)


def find_model(catalog: Catalog, name: str, *, nsfw: bool) -> ModelEntry:
    """The offered model with that key, name or file name; see `catalog.aliases`.

    Raises InvalidRequest if there is none or several, Refused if it may not be used here.
    """
    if not name:
        check_read(catalog, name)
        raise Refused("model.none")
    found = [catalog.models[key] for key in catalog.models_called(name)]
    meant = _meant(found, lambda entry: entry.enabled and (nsfw or not entry.nsfw))
    if len(shown := _shown(meant, nsfw=nsfw)) > 1:
        raise InvalidRequest("model", "model.several", value=name, keys=shown)
    if not meant:
        check_read(catalog, name)
        if catalog.withholds_model(name):
            raise Refused("model.not_here", name=name)
        if near := catalog.nearest_models(name, nsfw=nsfw):
            raise InvalidRequest("model", "model.unknown", value=name, nearest=near)
        offered = tuple(entry.key for entry in catalog.offered_models(nsfw=nsfw)[:NAMES_SHOWN])
        raise InvalidRequest("model", "model.unlike", value=name, offered=offered)
    entry = meant[0]
    # As it was typed, where the catalog's own name is not for this channel.
    said = name if entry.nsfw and not nsfw else entry.key
    if not entry.enabled:
        raise Refused("model.disabled", name=said)
    if entry.nsfw and not nsfw:
        raise Refused("model.nsfw", name=said)
    why = catalog.unfit_models.get(entry.key)
    if why and why.undecided:
        raise Refused(
            "model.undecided",
            name=entry.key,
            family=why.undecided.name,
            variants=why.variants,
            lines=why.lines,
            heading=entry.heading,
        )
    if why and why.unread and why.vae_for:
        raise Refused("model.quantised_vae", model=entry.key, reason=why.unread)
    if why and why.unread and why.encoder_for:
        raise Refused("model.quantised_encoder", model=entry.key, reason=why.unread)
    if why and why.unread and why.quantised:
        family = why.quantised.name
        raise Refused("model.unread", name=entry.key, family=family, reason=why.unread)
    if why and why.unread:
        raise Refused("model.quantised", model=entry.key, reason=why.unread)
    if why and why.vae_for:
        raise Refused("model.other_vae", model=entry.key, family=why.vae_for.name, what=why.what)
    if why and why.encoder_for:
        needed = str(why.encoder_for.encoder)
        raise Refused("model.other_encoder", model=entry.key, needed=needed, what=why.what)
    if why:
        families = tuple(family.name for family in FAMILIES.values())
        raise Refused("model.unfit", name=entry.key, what=why.what, families=families)
    return entry


def find_adapter(catalog: Catalog, name: str, *, model: ModelEntry, nsfw: bool) -> AdapterEntry:
    """The offered LoRA with that key, name or file name; see `catalog.aliases`.

    Raises InvalidRequest if there is none or several, Refused if it may not be used here or does
    not fit `model`.
    """
    found = [catalog.adapters[key] for key in catalog.adapters_called(name)]
    meant = _meant(
        found,
        lambda entry: (
            entry.enabled
            and (nsfw or not entry.nsfw)
            and catalog.misfit(entry.key, model.key) is None
        ),
    )
    if len(shown := _shown(meant, nsfw=nsfw)) > 1:
        raise InvalidRequest("lora", "lora.several", value=name, keys=shown)
    if not meant:
        embedding = catalog.embeddings.find(name)
        if embedding in catalog.embeddings.offered(nsfw=nsfw, model=model):
            raise InvalidRequest("lora", "lora.embedding", value=name)
        check_read(catalog, name)
        if catalog.withholds_adapter(name):
            raise Refused("lora.not_here", name=name)
        if example := _with_colon(catalog, name, model=model, nsfw=nsfw):
            raise InvalidRequest("lora", "lora.no_colon", value=name, example=example)
        if near := catalog.nearest_adapters(name, nsfw=nsfw, model=model.key):
            raise InvalidRequest("lora", "lora.unknown", value=name, nearest=near)
        fitting = [entry.key for entry in catalog.offered_adapters(nsfw=nsfw, model=model.key)]
        if not fitting:
            raise InvalidRequest("lora", "lora.none", value=name, model=model.key)
        offered = tuple(fitting[:NAMES_SHOWN])
        raise InvalidRequest("lora", "lora.unlike", value=name, model=model.key, offered=offered)
    entry = meant[0]
    said = name if entry.nsfw and not nsfw else entry.key
    if not entry.enabled:
        raise Refused("lora.disabled", name=said)
    if entry.nsfw and not nsfw:
        raise Refused("lora.nsfw", name=said)
    allowed = catalog.kept_to(entry.key)
    if allowed and model.key not in allowed:
        models = nameable(allowed, catalog, nsfw=nsfw)
        if not models:
            raise Refused("lora.misfit", name=entry.key, model=model.key)
        raise Refused("lora.other_model", name=entry.key, model=model.key, models=models)
    if why := catalog.misfit(entry.key, model.key):
        if why.kind == "base":
            raise Refused(
                "lora.other_base",
                name=entry.key,
                base=why.found,
                model=model.key,
                allowed=why.allowed,
            )
        raise Refused("lora.unsupported", name=entry.key, family=why.found, allowed=why.allowed)
    return entry


def _with_colon(catalog: Catalog, text: str, *, model: ModelEntry, nsfw: bool) -> str | None:
    """`sketch=0.8` or `sketch 0.8` as it has to be written; None if it does not begin with a LoRA
    that may be used here."""
    *words, weight = text.replace("=", " ").split() or [""]
    name = " ".join(words)
    if not catalog.adapters_called(name) or not NUMBER.fullmatch(weight):
        return None
    try:
        find_adapter(catalog, name, model=model, nsfw=nsfw)
    except UserError:
        return None
    return f"{name}:{weight}"


def find_upscaler(catalog: Catalog, name: str | None, *, nsfw: bool) -> UpscalerEntry:
    """The offered upscaler that is called so; without a name, the first.

    Raises InvalidRequest if there is none, Refused if it may not be used here.
    """
    upscalers = catalog.upscalers
    offered = upscalers.offered(nsfw=nsfw)
    if name is None or not name.strip():
        if not offered:
            raise Refused("upscaler.none")
        return offered[0]
    entry = upscalers.find(name)
    if entry is None or (entry.nsfw and not nsfw):
        if near := upscalers.nearest(name, nsfw=nsfw):
            raise InvalidRequest("upscaler", "upscaler.unknown", value=name, nearest=near)
        if not offered:
            raise Refused("upscaler.none")
        keys = tuple(each.key for each in offered[:NAMES_SHOWN])
        raise InvalidRequest("upscaler", "upscaler.unlike", value=name, offered=keys)
    if not entry.enabled:
        raise Refused("upscaler.disabled", name=entry.key)
    if why := upscalers.unfit.get(entry.key):
        raise Refused("upscaler.unusable", name=entry.key, reason=why)
    return entry


def check_describer(catalog: Catalog, style: str) -> None:
    """Raise Refused if nothing here describes images, or not in this style."""
    if not (offered := describe_styles(catalog)):
        raise Refused("describe.none")
    if style not in offered:
        raise InvalidRequest("style", "describe.style", value=style, styles=offered)


def describe_styles(catalog: Catalog) -> tuple[str, ...]:
    """The styles in which images can be described here; none if nothing does."""
    if catalog.describer is None:
        return ()
    return tuple(s for s in DESCRIBE_STYLES if s != TAGS or catalog.describer.tags is not None)


def find_controlnet(
    catalog: Catalog, name: str | None, *, model: ModelEntry, nsfw: bool
) -> ControlNetEntry:
    """The offered ControlNet that is called so and fits `model`; without a name, the first.

    Raises InvalidRequest if there is none, Refused if it may not be used here or does not fit.
    """
    controlnets, family = catalog.controlnets, model.family
    offered = controlnets.offered(nsfw=nsfw, model=model)
    if name is None or not name.strip():
        if not offered:
            raise _no_controlnet(catalog, model, nsfw=nsfw)
        return offered[0]
    keys = tuple(each.key for each in offered[:NAMES_SHOWN])
    entry = controlnets.find(name)
    if entry is None or (entry.nsfw and not nsfw):
        if near := controlnets.nearest(name, nsfw=nsfw, model=model):
            raise InvalidRequest("control", "control.unknown", value=name, nearest=near)
        if not offered:
            raise _no_controlnet(catalog, model, nsfw=nsfw)
        raise InvalidRequest("control", "control.unlike", value=name, offered=keys)
    if not entry.enabled:
        raise Refused("control.disabled", name=entry.key)
    if why := controlnets.unfit.get(entry.key):
        raise Refused("control.unusable", name=entry.key, reason=why)
    named = {"name": entry.key, "model": model.key}
    if (own := controlnets.family_of(entry.key)) != family.key:
        named["family"] = FAMILIES[own].name
        if keys:
            raise Refused("control.misfit_offered", **named, offered=keys)
        raise Refused("control.misfit", **named)
    if not controlnets.fits(entry.key, model):
        if keys:
            raise Refused("control.other_model_offered", **named, offered=keys)
        raise Refused("control.other_model", **named)
    return entry


def _no_controlnet(catalog: Catalog, model: ModelEntry, *, nsfw: bool) -> Refused:
    """What says that none is offered for a model: for none of its family, or for others only."""
    if catalog.controlnets.offered_for(model.family.key, nsfw=nsfw):
        return Refused("control.none_for_model", model=model.key)
    return Refused("control.none", family=model.family.name)


def _shown(entries: Sequence[Entry], *, nsfw: bool) -> tuple[str, ...]:
    """Keys of the first of them that may be named here."""
    keys = (entry.key for entry in entries if nsfw or not entry.nsfw)
    return tuple(keys)[:NAMES_SHOWN]


def _meant(candidates: Sequence[Entry], usable: Callable[[Entry], bool]) -> tuple[Entry, ...]:
    """Which of these a name means; several if more than one of them may be used here."""
    if len(candidates) == 1:
        return (candidates[0],)
    fine = tuple(entry for entry in candidates if usable(entry))
    return fine or tuple(candidates[:1])
