"""What a person is told about the LoRAs and embeddings of a finished job. Imports torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bot.engine.learned import Learned
from bot.engine.patches import AdapterFile
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.progress import Notice
from bot.recipe import Found
from bot.request import GenerationRequest

_SKIPPED: Final = {"no_such_module": "adapter.no_such_module", "no_bias": "adapter.no_bias"}
"""Reason in `AdapterFile.skipped` → code of the notice."""
NAME_SHOWN: Final = 100
"""Characters shown of a module's name, which may have any length in the file."""
NAMES_SHOWN: Final = 4


def of_found(request: GenerationRequest, found: Sequence[Found]) -> tuple[Notice, ...]:
    """Where nothing was found that was to be painted again: in none of the images, or in some."""
    if not request.detail:
        return ()
    seeds = {each.seed for each in found}
    without = [n for n in range(request.count) if request.image_seed(n) not in seeds]
    if not without:
        return ()
    words = tuple(use.word for use in request.detail)
    if len(without) == request.count:
        return (Notice("detail.none", {"words": words}),)
    numbers = tuple(str(n + 1) for n in without)
    return (Notice("detail.none_in", {"words": words, "images": numbers}),)


def of_adapters(
    adapters: Sequence[tuple[Path, Subject]],
    read: Sequence[AdapterFile],
    encoders: Mapping[str, Any],
) -> tuple[Notice, ...]:
    """For adapters: how much took effect, why the rest did not, whether the scale is a guess, what
    of it means nothing.

    encoders: the model's text encoders, which the embeddings inside an adapter have to fit.
    """
    notices = []
    for file, (_, subject) in zip(read, adapters, strict=True):
        if file.matched < file.total:
            notices.append(
                Notice(
                    "adapter.partial",
                    {"adapter": subject.key, "matched": file.matched, "total": file.total},
                )
            )
        for reason, code in _SKIPPED.items():
            modules = [name for name, why in file.skipped if why == reason]
            if modules:
                example = modules[0][:NAME_SHOWN]
                notices.append(
                    Notice(
                        code, {"adapter": subject.key, "count": len(modules), "example": example}
                    )
                )
        if file.unscaled:
            notices.append(Notice("adapter.no_scale", {"adapter": subject.key}))
        if file.strays:
            shown = _listed(file.strays)
            notices.append(Notice("adapter.strays", {"adapter": subject.key, "names": shown}))
        others = [token for token, each in file.embeddings.items() if not each.fits(encoders)]
        if unused := (*file.unused, *others):
            shown = _listed(unused)
            notices.append(Notice("adapter.embeddings", {"adapter": subject.key, "names": shown}))
    return tuple(notices)


def of_embeddings(
    embeddings: Sequence[tuple[Source, Subject]], learned: Sequence[Learned]
) -> tuple[Notice, ...]:
    """For embedding files of which a part has no use here."""
    return tuple(
        Notice("embedding.partial", {"embedding": subject.key, "names": _listed(each.unused)})
        for each, (_, subject) in zip(learned, embeddings, strict=True)
        if each.unused
    )


def _listed(names: Sequence[str]) -> str:
    shown = [name[:NAME_SHOWN] for name in names[:NAMES_SHOWN]]
    return ", ".join(shown) + (" …" if len(names) > NAMES_SHOWN else "")
