"""Prompt editing as AUTOMATIC1111's web UI has it: texts that change while an image is generated.

    [from:to:when]   `from`, and after the step `when`, `to`
    [to:when]        nothing, then `to`            [from::when]   `from`, then nothing
    [a|b|c]          one after another, at every step the next

With a point in it, `when` is a share of the steps (0.5, .25, 1.0), else it is a step's number.
In the second pass the count goes on: 1.5 is half of it and, with 20 steps before, 25 its fifth.
They nest. Brackets of any other content are those of `bot.request.emphasis`, which reads every text
that comes out of here; a character after a backslash is itself, here as there.

Source: `modules/prompt_parser.py` and `modules/sd_samplers_cfg_denoiser.py` of
AUTOMATIC1111/stable-diffusion-webui 1.10. As there, the first text holds for one step longer than
it says: of 20 steps, `[a:b:0.5]` has `a` for 11, and `[a|b]` begins with `a` twice. There, Heun and
DPM++ SDE count each of their two evaluations per step as a step; here, a step is a step. Where
brackets do not match or a `|` stands outside them, there the whole prompt may be plain words; here,
each form counts that is complete in itself.

The web UI's AND is not here: each part of it is evaluated on its own at every step, in batches
that grow with the prompt, and the memory profiles are for batches of two.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final

TEXTS_MAX: Final = 32
"""Limit for the texts that one prompt turns into; each is encoded once and kept on the device."""

_NUMBER: Final = re.compile(
    r"\s*+([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+"
)
_NEARLY: Final = re.compile(r"\s*+[+-]?[0-9][0-9.,]*+\s*+%?\s*+")
"""What somebody types who means a moment, such as `0,5` or `50%`."""
_PIECE: Final = re.compile(
    r"""\\.
    |   <(?:embedding|embed):[^<>]*+>
    |   (?<!\w)embedding:(?=\S)
    |   (?P<mark>[()\[\]:|])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Turn:
    """What the text encoders see from the step `first` of a pass on, counted from 0."""

    first: int
    prompt: str
    negative: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Brackets that look like editing and are not. code: of the sentence that says why."""

    code: str
    value: str


@dataclass(frozen=True, slots=True)
class _Form:
    """Brackets from `start` to `end` of a text, and the parts of it that they choose from.

    when: of `[from:to:when]`; None for alternatives.
    """

    start: int
    end: int
    parts: tuple[tuple[int, int], ...]
    when: str | None


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet, with the separators in it that are in no other bracket."""

    start: int
    round: bool
    marks: list[tuple[int, str]] = field(default_factory=list)


class Editing:
    """The forms of one text, which may be any. Takes time linear in its length."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.faults: list[Fault] = []
        self._forms: list[_Form] = []
        self._read()
        self._forms.sort(key=lambda form: form.start)

    def __bool__(self) -> bool:
        """Whether there is any form in the text."""
        return bool(self._forms)

    @cached_property
    def _alternates(self) -> bool:
        return any(form.when is None for form in self._forms)

    def schedule(self, steps: int, before: int | None = None) -> tuple[tuple[int, str], ...]:
        """The text from which step on, counted from 0; no two neighbours are the same.

        steps: that the pass runs, or with an initial image would run without it. before: the steps
            of the first pass, if this is the second.
        """
        moments = {
            form.start: _moment(form.when, steps, before) for form in self._forms if form.when
        }
        last = max(1, steps - 1)
        if self._alternates:
            changes: Iterable[int] = range(1, last + 1)
        else:
            changes = sorted({1, *(moment + 1 for moment in moments.values() if moment > 0)})
        found: list[tuple[int, str]] = []
        for step in changes:
            if step > last:
                break
            text = self._at(step, moments)
            if not found:
                found.append((0, text))
            elif found[-1][1] != text:
                found.append((step, text))
        return tuple(found)

    def _at(self, step: int, moments: dict[int, int]) -> str:
        """The text at one step, counted from 1."""
        pieces: list[str] = []
        position = 0
        inside: list[tuple[int, int]] = []
        end = len(self.text)
        for form in self._forms:
            while inside and form.start >= end:
                pieces.append(self.text[position:end])
                _, position = inside.pop()
                end = inside[-1][0] if inside else len(self.text)
            if form.start < position:
                continue  # in a part that is not chosen
            pieces.append(self.text[position : form.start])
            number = (
                (step - 1) % len(form.parts) if form.when is None else step > moments[form.start]
            )
            position, end = form.parts[number]
            inside.append((end, form.end))
        while inside:
            end, following = inside.pop()
            pieces.append(self.text[position:end])
            position = following
        pieces.append(self.text[position:])
        return "".join(pieces)

    def _read(self) -> None:
        stack: list[_Open] = []
        for piece in _PIECE.finditer(self.text):
            at, mark = piece.start(), piece["mark"]
            match mark:
                case "(" | "[":
                    stack.append(_Open(at, mark == "("))
                case ":" | "|" if stack:
                    stack[-1].marks.append((at, mark))
                case ")" | "]" if stack and stack[-1].round == (mark == ")"):
                    closed = stack.pop()
                    if not closed.round:
                        self._close(closed, at)
                case ")" | "]":
                    stack.clear()  # what is open crosses this one, so it is plain text

    def _close(self, bracket: _Open, end: int) -> None:
        colons = [at for at, mark in bracket.marks if mark == ":"]
        pipes = [at for at, mark in bracket.marks if mark == "|"]
        if pipes and not (colons and _NUMBER.fullmatch(self.text, colons[-1] + 1, end)):
            self._add(bracket.start, end, pipes, None)
        elif not colons:
            return
        elif pipes:
            self._fault("prompt.edit_mixed", bracket.start, end)
        elif number := _NUMBER.fullmatch(self.text, colons[-1] + 1, end):
            if len(colons) <= 2:
                self._add(bracket.start, end, colons, number[1])
            else:
                self._fault("prompt.edit_parts", bracket.start, end)
        elif len(colons) == 2 or _NEARLY.fullmatch(self.text, colons[-1] + 1, end):
            self._fault("prompt.edit_when", bracket.start, end)

    def _add(self, start: int, end: int, marks: Sequence[int], when: str | None) -> None:
        parts = [(one + 1, other) for one, other in pairwise([start, *marks, end])]
        if when is not None:
            parts.pop()
            if len(parts) == 1:
                parts.insert(0, (start, start))
        self._forms.append(_Form(start, end + 1, tuple(parts), when))

    def _fault(self, code: str, start: int, end: int) -> None:
        value = self.text[start : end + 1]
        self.faults.append(Fault(code, value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"))


def turns(
    prompts: Sequence[tuple[int, str]], negatives: Sequence[tuple[int, str]]
) -> tuple[Turn, ...]:
    """Two schedules as one."""
    firsts = sorted({first for first, _ in (*prompts, *negatives)})
    return tuple(
        Turn(first, _text_at(prompts, first), _text_at(negatives, first)) for first in firsts
    )


def _text_at(schedule: Sequence[tuple[int, str]], step: int) -> str:
    return next(text for first, text in reversed(schedule) if first <= step)


def _moment(when: str, steps: int, before: int | None) -> int:
    """The last step, counted from 1, before the change; 0 or less if there is none before it."""
    share = "." in when
    passed = (1.0 if share else before) if before is not None else 0.0
    value = (float(when) - passed) * (steps if share else 1)
    return int(max(-1.0, min(value, steps)))
