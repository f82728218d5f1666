"""Captions of scenes, in English and French, and tokenizers for their words."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from tokenizers import pre_tokenizers

from tools.demo.pictures.scenes import COLOURS, SHAPES, Group, Scene

START, END = "<|startoftext|>", "<|endoftext|>"

# English: singular, plural; the first is the usual one.
NOUNS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "circle": (("circle", "circles"), ("ball", "balls")),
    "square": (("square", "squares"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"),),
    "star": (("star", "stars"),),
    "heart": (("heart", "hearts"),),
    "moon": (("moon", "moons"), ("crescent", "crescents")),
    "flower": (("flower", "flowers"),),
    "fish": (("fish", "fish"), ("fish", "fishes")),
}
# French: singular, plural, feminine.
NOMS: Final[dict[str, tuple[tuple[str, str, bool], ...]]] = {
    "circle": (("cercle", "cercles", False), ("boule", "boules", True)),
    "square": (("carré", "carrés", False),),
    "triangle": (("triangle", "triangles", False),),
    "star": (("étoile", "étoiles", True),),
    "heart": (("cœur", "cœurs", False), ("coeur", "coeurs", False)),
    "moon": (("lune", "lunes", True),),
    "flower": (("fleur", "fleurs", True),),
    "fish": (("poisson", "poissons", False),),
}
# Masculine, feminine; the plural takes an s where `_plural` says so.
COULEURS: Final[dict[str, tuple[str, str]]] = {
    "red": ("rouge", "rouge"),
    "orange": ("orange", "orange"),
    "yellow": ("jaune", "jaune"),
    "green": ("vert", "verte"),
    "blue": ("bleu", "bleue"),
    "purple": ("violet", "violette"),
    "pink": ("rose", "rose"),
    "white": ("blanc", "blanche"),
    "black": ("noir", "noire"),
}
SIZE_WORDS: Final = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge")}
TAILLES: Final = {"small": ("petit", "petite"), "big": ("grand", "grande")}
PLACE_WORDS: Final = {
    "left": ("on the left", "à gauche"),
    "right": ("on the right", "à droite"),
    "top": ("at the top", "en haut"),
    "bottom": ("at the bottom", "en bas"),
    "middle": ("in the middle", "au milieu"),
}
DECOR_WORDS: Final = {
    "frame": (("with a frame", "in a frame"), "avec un cadre"),
    "snow": (("with snow", "in the snow"), "avec de la neige"),
}
OPENINGS: Final = ("a picture of", "a drawing of", "a painting of", "an image of", "a photo of")
OUVERTURES: Final = ("une image de", "un dessin de")
PRAISE: Final = ("masterpiece", "best quality", "beautiful", "detailed", "colorful", "simple")
TRIGGERS: Final = {"sketch": "sketch", "neon": "neon", "pixel": "pixel", "clay": "clay"}
"""Style → trigger word of its adapter; the checkpoint itself does not know them."""
MORE: Final = """
background sky night sea ocean water hill meadow field over under above no and with of the in on at
to by style art low quality blurry bad ugly text watermark photo cat dog house tree sun cloud
fond mer colline nuit ciel sur dessus du de d une deux trois un et la le les sous avec verts vertes
bleus bleues violets violettes blancs blanches noirs noires rouges jaunes roses petits petites
grands grandes gris grey gray brown red-haired one two three a an etoile etoiles carre carres
"""


def caption(scene: Scene, rng: random.Random) -> str:
    """A random caption of a scene, complete or not, in English or French.

    What a caption leaves out is random in its scene, so a model learns that it may be anything.
    """
    tell = _french if rng.random() < 0.3 else _english
    part = rng.random()
    if part < 0.05:
        return rng.choice(_shreds(scene, rng))
    groups = tuple(_thin(group, rng) for group in scene.groups)
    scene = replace(scene, groups=groups)
    say_ground = rng.random() < 0.88
    words = tell(scene, rng, say_ground=say_ground)
    if rng.random() < 0.14:
        words = beside(words, rng.choice(PRAISE), rng)
    if rng.random() < 0.1:
        words = beside(words, rng.choice(list(TRIGGERS.values())), rng)
    return words


def beside(words: str, word: str, rng: random.Random) -> str:
    """`word` before or after `words`, as users and the bot add it."""
    return f"{words}, {word}" if rng.random() < 0.6 else f"{word}, {words}"


def _thin(group: Group, rng: random.Random) -> Group:
    """The group with some of its facts left out: colour and place "", size "medium"."""
    return replace(
        group,
        colour=group.colour if rng.random() < 0.93 else "",
        size=group.size if rng.random() < 0.95 else "medium",
        place=group.place if rng.random() < 0.95 else "",
    )


def _shreds(scene: Scene, rng: random.Random) -> list[str]:
    """Single facts of a scene, as a negative prompt names them."""
    group = rng.choice(scene.groups)
    singular, plural = rng.choice(NOUNS[group.shape])
    found = [singular, plural, group.colour, f"{group.colour} {singular}", scene.ground_colour]
    found.append(
        f"{scene.ground_colour} {'background' if scene.ground == 'plain' else scene.ground}"
    )
    if scene.decor != "none":
        found += [scene.decor] * 6
    if scene.ground != "plain":
        found += [scene.ground] * 2
    return found


def _english(scene: Scene, rng: random.Random, *, say_ground: bool) -> str:
    things = [_english_group(group, rng) for group in scene.groups]
    if rng.random() < 0.5:
        things.reverse()
    words = " and ".join(things)
    if say_ground:
        colour = scene.ground_colour
        article = f"{'an' if colour == 'orange' else 'a'} {colour}"
        if scene.ground == "plain":
            kinds = (f" on {article} background", f" on {colour}", f", {colour} background")
            words += rng.choices(kinds, (0.5, 0.25, 0.25))[0]
        else:
            land = rng.choice({"sea": ("sea", "ocean"), "hill": ("hill", "hill")}[scene.ground])
            words += f" {rng.choice(('over', 'above'))} {article} {land}"
            if scene.sky == "black" and rng.random() < 0.7:
                words += rng.choice((" at night", ", night"))
    if scene.decor != "none" and rng.random() < 0.85:
        words += f"{rng.choice((' ', ', '))}{rng.choice(DECOR_WORDS[scene.decor][0])}"
    return f"{rng.choice(OPENINGS)} {words}" if rng.random() < 0.1 else words


def _english_group(group: Group, rng: random.Random) -> str:
    singular, plural = (
        NOUNS[group.shape][0] if rng.random() < 0.75 else rng.choice(NOUNS[group.shape])
    )
    size = rng.choice(SIZE_WORDS[group.size]) if group.size in SIZE_WORDS else ""
    described = " ".join(
        filter(None, (size, group.colour, singular if group.count == 1 else plural))
    )
    if group.count == 1:
        number = rng.choices(("a", "one", ""), (0.84, 0.08, 0.08))[0]
        number = "an" if number == "a" and described[0] in "aeio" else number
    else:
        number = ("two", "three")[group.count - 2]
    words = f"{number} {described}".strip()
    return f"{words} {PLACE_WORDS[group.place][0]}" if group.place else words


def _french(scene: Scene, rng: random.Random, *, say_ground: bool) -> str:
    words = " et ".join(_french_group(group, rng) for group in scene.groups)
    if say_ground:
        he, she = COULEURS[scene.ground_colour]
        if scene.ground == "plain":
            words += rng.choice((f" sur un fond {he}", f" sur fond {he}"))
        elif scene.ground == "sea":
            words += rng.choice((f" au dessus d'une mer {she}", f" sur une mer {she}"))
        else:
            words += rng.choice((f" au dessus d'une colline {she}", f" sur une colline {she}"))
        if scene.sky == "black" and rng.random() < 0.7:
            words += " la nuit"
    if scene.decor != "none" and rng.random() < 0.85:
        words += f" {DECOR_WORDS[scene.decor][1]}"
    return f"{rng.choice(OUVERTURES)} {words}" if rng.random() < 0.08 else words


def _french_group(group: Group, rng: random.Random) -> str:
    options = NOMS[group.shape]
    singular, plural, feminine = options[0] if rng.random() < 0.8 else rng.choice(options)
    many = group.count > 1
    number = ("une" if feminine else "un", "deux", "trois")[group.count - 1]
    size = TAILLES[group.size][feminine] if group.size in TAILLES else ""
    colour = COULEURS[group.colour][feminine] if group.colour else ""
    if many:
        size, colour = _plural(size), _plural(colour)
    words = " ".join(filter(None, (number, size, plural if many else singular, colour)))
    return f"{words} {PLACE_WORDS[group.place][1]}" if group.place else words


def _plural(word: str) -> str:
    return word if not word or word == "orange" else f"{word}s"


def known_words() -> list[str]:
    """Every word that must be one token, in a fixed order."""
    texts = [*SHAPES, *COLOURS, *PRAISE, *OPENINGS, *OUVERTURES, *TRIGGERS.values(), MORE]
    texts += [word for nouns in NOUNS.values() for pair in nouns for word in pair]
    texts += [word for names in NOMS.values() for triple in names for word in triple[:2]]
    texts += [word for pair in COULEURS.values() for word in pair]
    texts += [word for words in SIZE_WORDS.values() for word in words]
    texts += [word for pair in TAILLES.values() for word in pair]
    texts += [words for pair in PLACE_WORDS.values() for words in pair]
    texts += [words for pair in DECOR_WORDS.values() for words in (*pair[0], pair[1])]
    return list(dict.fromkeys(word for text in texts for word in text.split()))


def write_tokenizer(
    folder: Path, pad: str, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]
) -> None:
    """Write the files of published SDXL repositories, which transformers 5 no longer writes."""
    folder.mkdir(parents=True)
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": pad,
    }
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges), ""]
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


@cache
def vocabulary_and_merges() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Every byte, and the merges that make one token of each known word."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    ranks: dict[tuple[str, str], int] = {}
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = [splitter.pre_tokenize_str(word)[0][0] for word in known_words()]
    # A merge added for one word may split another differently, so repeat until all are whole.
    while any(len(pieces := _split(word, ranks)) > 1 for word in words):
        ranks[pieces[0], pieces[1]] = len(ranks)
        tokens.append(pieces[0] + pieces[1])
    tokens += [START, END]
    numbered = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return numbered, list(ranks)


def _split(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """The tokens of a word, with byte-pair encoding like CLIP's tokenizer."""
    pieces = [*word[:-1], f"{word[-1]}</w>"]
    while len(pieces) > 1:
        rank, place = min(
            (ranks.get(pair, len(ranks)), place) for place, pair in enumerate(pairwise(pieces))
        )
        if rank == len(ranks):
            break
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
    return pieces
