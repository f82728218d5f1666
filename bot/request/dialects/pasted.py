"""A pasted infotext: what it asks for becomes options, as far as that is possible here.

What was chosen by an option counts for more. What cannot be taken over is left out and named.
"""

import math
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any, Final, TypeAlias

from bot.errors import InvalidRequest, UserError
from bot.progress import Notice
from bot.request.dialects.infotext import NEGATIVE, Infotext, Settings, settings_of
from bot.request.dialects.samplers import (
    SUFFIXES,
    USUAL,
    find_scheduler,
    scheduler_for,
    with_another_schedule,
)
from bot.request.hashes import Hashes, key_of
from bot.request.model import GenerationRequest
from bot.request.syntax import AdapterAsk, extract_tags, with_named_weights
from catalog import SCHEDULERS

Options: TypeAlias = Mapping[str, Any]
"""By the names of a Draft's fields."""
Attempt: TypeAlias = Callable[[Options], GenerationRequest]
"""Composes the draft with these options; raises InvalidRequest or Refused."""

_IN_TURN: Final = (
    "preset",
    "size",
    "scheduler",
    "steps",
    "guidance",
    "seed",
    "variation",
    "clip_skip",
    "inpaint_area",
    "inpaint_padding",
    "detail",
    "tile",
)
_SECOND_PASS: Final = ("hires", "hires_strength", "hires_steps")
_NEGATIVE: Final = NEGATIVE.rstrip(":")
_ADAPTERS: Final = "LoRAs"
_ASKS_MAX: Final = 8
"""LoRAs that are looked for: one that is not here is compared with all that are."""
_RATIO_MAX: Final = 999
_SHOWN: Final = 60
_LATER: Final = ("catalog.reading", "catalog.starting")
"""Refusals that are over in a moment: what is not known yet must not be left out."""


class Taking:
    """Takes over an infotext, one setting after the other: each if the request is valid with it.

    given: the names of the options that were chosen. notes: what the person should know.
    """

    def __init__(self, read: Infotext, given: Set[str], attempt: Attempt, hashes: Hashes) -> None:
        self._given = given
        self._attempt = attempt
        self._hashes = hashes
        self._settings: Settings = settings_of(read)
        prompt, self._asks = extract_tags(with_named_weights(read.prompt))
        self.options: dict[str, Any] = {"prompt": prompt}
        self.notes: list[Notice] = []
        self._why = ""
        self._taken: list[str] = []
        self._left: list[str] = list(self._settings.left)
        self._outweighed: list[str] = []
        self._negative = read.negative

    def all(self) -> None:
        """Raises InvalidRequest or Refused if the request is invalid without any of it."""
        self._take_model()
        self._take_negative()
        self._take_adapters()  # before the steps, of which some need few
        wanted = dict(self._settings.options)
        if scheduler := self._scheduler():
            wanted["scheduler"] = scheduler
        for name in _IN_TURN:
            if name in wanted:
                self._take(name, wanted[name])
        self._take_second_pass({name: wanted[name] for name in _SECOND_PASS if name in wanted})
        summary = []
        for code, names in (
            ("dialect.infotext.taken", self._taken),
            ("dialect.infotext.left", self._left),
            ("dialect.infotext.outweighed", self._outweighed),
        ):
            if names:
                shown = ", ".join(name[:_SHOWN] for name in names)
                summary.append(Notice(code, {"names": shown}))
        self.notes[:0] = summary

    def _works(self, **more: object) -> GenerationRequest | None:
        """The request with these options as well; None if it would not be valid."""
        try:
            return self._attempt({**self.options, **more})
        except UserError as error:
            if error.code in _LATER:
                raise
            self._why = error.code
            return None

    def _take_model(self) -> None:
        asked = self._settings.options.get("model")
        if asked is not None and "model" in self._given:
            self._outweighed.append("Model")
        elif asked is not None and self._works(model=asked):
            self.options["model"] = asked
            self._taken.append("Model")
            return
        elif (digest := self._settings.model_hash) and "model" not in self._given:
            if (key := key_of(digest, self._hashes)) and self._works(model=key):
                self.options["model"] = key
                self._taken.append("Model hash")
                return
            asked = asked or digest
        # Whatever is wrong without the model has nothing to do with the infotext's settings.
        request = self._attempt(self.options)
        if asked and "model" not in self._given:
            params = {"value": str(asked)[:_SHOWN], "model": request.model}
            self.notes.append(Notice("dialect.infotext.model", params))

    def _take_negative(self) -> None:
        if "negative" in self._given:
            self._outweighed += [_NEGATIVE] if self._negative else []
        elif self._works(negative=self._negative):
            self.options["negative"] = self._negative
            self._taken += [_NEGATIVE] if self._negative else []
        else:
            self._left.append(_NEGATIVE)

    def _take(self, name: str, value: object) -> None:
        said = self._settings.names.get(name, "Sampler")
        if name in self._given:
            self._outweighed.append(said)
        elif self._works(**{name: value}):
            self.options[name] = value
            self._taken.append(said)
        elif name == "size" and (request := self._works(size=_shape(str(value)))):
            self.options[name] = _shape(str(value))
            size = f"{request.width}x{request.height}"
            self.notes.append(Notice("dialect.infotext.size", {"value": str(value), "size": size}))
        else:
            self._left.append(said)

    def _scheduler(self) -> str | None:
        """Our sampler; the usual one of its kind if there is none with that noise schedule."""
        sampler, schedule = self._settings.sampler, self._settings.schedule
        if sampler is None:
            return None
        if "scheduler" in self._given:
            return sampler
        try:
            if schedule is None:
                return find_scheduler(sampler)
            return scheduler_for(sampler, schedule, sampler, SCHEDULERS)
        except InvalidRequest:
            same = with_another_schedule(sampler)
        if not same:
            self._left.append("Sampler")
            return None
        asked = " ".join(filter(None, (sampler, schedule)))[:_SHOWN]
        # Of other schedules, the plain one is nearest: few crowd their steps as Karras does.
        karras = USUAL in asked.casefold()
        nearest = min(same, key=lambda name: name.endswith(SUFFIXES[USUAL]) != karras)
        params = {"value": asked, "scheduler": nearest}
        self.notes.append(Notice("dialect.infotext.sampler", params))
        return nearest

    def _take_second_pass(self, wanted: Mapping[str, object]) -> None:
        if "hires" not in wanted:
            return
        said = [self._settings.names[name] for name in wanted]
        said = [name for name in dict.fromkeys(said) if name != "Steps"]
        if "hires" in self._given:
            self._outweighed += said
        elif self._works(**wanted):
            self.options.update(wanted)
            self._taken += said
        else:
            self._left += said

    def _take_adapters(self) -> None:
        taken: list[AdapterAsk] = []
        absent: list[str] = []
        outweighed = False
        for number, ask in enumerate(self._asks):
            if number >= _ASKS_MAX:
                absent.append(ask.name[:_SHOWN])
                continue
            key = key_of(self._settings.adapter_hashes.get(ask.name, ""), self._hashes)
            named = (ask, *([replace(ask, name=key)] if key else []))
            if found := next((n for n in named if self._works(adapters=(*taken, n))), None):
                taken.append(found)
            elif self._why == "lora.twice" and self._given & {"lora", "adapters"}:
                outweighed = True
            else:
                absent.append(ask.name[:_SHOWN])
        if taken:
            self.options["adapters"] = tuple(taken)
            self._taken.append(_ADAPTERS)
        if outweighed:
            self._outweighed.append(_ADAPTERS)
        if absent:
            names = ", ".join(absent)
            self.notes.append(Notice("dialect.infotext.loras", {"names": names}))


def _shape(size: str) -> str:
    """`512x768` as the ratio 2:3; as it is where that takes too many digits."""
    width, height = (int(side) for side in re.split("x", size))
    shared = math.gcd(width, height) or 1
    across, down = width // shared, height // shared
    return size if max(across, down) > _RATIO_MAX else f"{across}:{down}"
