"""What the names of models say, word by word.

A name is told from whole words: `de-turbo`, `based` and `database` are no `turbo` and no `base`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_WORD: Final = re.compile(
    r"(?<!\d)(?P<steps>\d{1,2})[ _-]?(?:steps?|Steps?|STEPS?)(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+"
)
"""Words end at everything that is no letter, and where lower case becomes upper case; but a number
of steps, such as `4-steps`, is one."""
_WITH_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "hyper": frozenset(
        {
            *("sdxl", "unet", "vae", "bakedvae", "inpaint", "inpainting", "lora", "cfg"),
            *("lightning", "turbo", "lcm", "dmd", "tcd", "safetensors", "gguf"),
        }
    )
}
"""Words that are one with the next, `hyper realism` as well as `hyperrealism`, but not with these
and not with one of a letter or two, such as of a version."""
_SHORT: Final = 2
_PREDICTION: Final = ("pred", "prediction")
_VELOCITY: Final = tuple(f"v{word}" for word in _PREDICTION)
_DENIALS: Final = ("de", "un", "non", "no", "not", "anti", "without")
"""Before a word, in one with it or alone, they say that it is not meant."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one name says of some words.

    said: those that it has. denied: those that it says are not meant. like: whether another word
    has one of them in it, so that it is not clear whether it is meant.
    """

    said: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    like: bool = False


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: `flux2KleinBase4b` has flux, klein, base and b."""
    return tuple(_joined([*_words(name)]))


def steps_word(number: int) -> str:
    """The word in a name for so many steps."""
    return f"{number}step"


def _words(name: str) -> Iterator[str]:
    for found in _WORD.finditer(name):
        yield steps_word(int(found["steps"])) if found["steps"] else found[0].casefold()


def _joined(words: list[str]) -> Iterator[str]:
    """`words` with those that are one with the next as that one."""
    before = ""
    for word, following in pairwise((*words, "")):
        apart = _WITH_NEXT.get(word)
        if apart is None or len(following) <= _SHORT or following in apart or _steps(following):
            yield before + word
            before = ""
        else:
            before += word


def _steps(word: str) -> bool:
    return word[:1].isdigit()


def heard(name: str, words: Collection[str]) -> Heard:
    """What `name` says of these words, which are in lower case."""
    said: set[str] = set()
    denied: set[str] = set()
    like, before = False, ""
    for word in words_of(name):
        if word in words:
            (denied if before in _DENIALS else said).add(word)
        elif found := [each for each in words if each in word]:
            like = True
            denied.update(each for each in found if word.removesuffix(each) in _DENIALS)
        before = word
    return Heard(frozenset(said), frozenset(denied), like)


def say_velocity(names: Iterable[str]) -> bool:
    """Whether one of these names says that a model predicts the velocity: `vPred`, `v-pred`."""
    for name in names:
        before = ""
        for word in words_of(name):
            if word in _VELOCITY or (word in _PREDICTION and before.endswith("v")):
                return True
            before = word
    return False


def together(names: Iterable[str], words: Collection[str]) -> Heard:
    """What all `names` say."""
    each = [heard(name, words) for name in names]
    said = frozenset[str]().union(*(one.said for one in each))
    denied = frozenset[str]().union(*(one.denied for one in each))
    return Heard(said, denied, any(one.like for one in each))
