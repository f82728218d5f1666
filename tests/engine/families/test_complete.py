"""Every family has all that belongs to one, and is found because its folders are there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import catalog.families
from catalog.families import FAMILIES, discovery
from catalog.families.discovery import BadFamily
from catalog.weight_files.pipeline import folder_facts
from tests.catalog.weight_files.headers import NAMES, shapes_of
from tests.docs.test_families import ROWS
from tests.engine.families.lacking import is_of, lacks
from tests.engine.families.toy import COPIED, Toy, write
from tests.parameters import mostly_long

ROOT: Final = Path(__file__).parents[3]
HERE: Final = "tests.engine.families"


def _builder(key: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        import_module(f"{HERE}.{key}.tiny_model").build(folder)

    return build


TINY: Final = {key: _builder(key) for key in FAMILIES}
"""Family → what writes a tiny model of it into a folder."""


def test_no_family_lacks_anything() -> None:
    from bot.engine.families import FAMILIES as ENGINES

    keys = dict.fromkeys((*FAMILIES, *ENGINES))
    found = {key: [*lacks(ROOT, key, FAMILIES.get(key), ENGINES.get(key))] for key in keys}
    assert not any(found.values()), found


@pytest.mark.parametrize("key", mostly_long(FAMILIES, usual=["sd15", "flux2"]))
def test_a_tiny_model_is_recognised_as_one_of_its_family(tmp_path: Path, key: str) -> None:
    TINY[key](tmp_path / "tiny")
    facts = folder_facts(tmp_path / "tiny")
    assert facts.refusal is None
    assert facts.model in FAMILIES[key].architectures


@pytest.mark.parametrize("name", NAMES)
def test_of_no_model_do_two_families_say_that_it_is_theirs(name: str) -> None:
    """So it does not matter which is asked first."""
    shapes = shapes_of(name)
    owners = [key for key, family in FAMILIES.items() if is_of(family, shapes)]
    assert len(owners) <= 1
    assert all(name.partition("-")[0] == key for key in owners)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """A family written into a temporary folder, where the packages of families also look."""
    import bot.engine.families

    write(ROOT, tmp_path)
    packages: tuple[ModuleType, ...] = (catalog.families, bot.engine.families)
    for package in packages:
        folder = tmp_path.joinpath(*package.__name__.split("."))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield Toy(tmp_path)
    for package in packages:
        sys.modules.pop(f"{package.__name__}.toy", None)
        vars(package).pop("toy", None)


def found(toy: Toy) -> list[str]:
    """What the toy lacks, after both packages were searched as when they are imported."""
    import bot.engine.families as engines
    from bot.engine.families import discovery as engine_discovery

    families = {
        each.key: each for each in discovery.found("catalog.families", catalog.families.__path__)
    }
    halves = engine_discovery.found("bot.engine.families", engines.__path__, families)
    return [*lacks(toy.root, "toy", families.get("toy"), halves.get("toy"))]


def test_a_complete_family_lacks_nothing(toy: Toy) -> None:
    assert found(toy) == []


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda toy: toy.tiny.unlink(), ["a tiny model"]),
        (lambda toy: toy.swap(toy.tiny, "def build", "def built"), ["a tiny model"]),
        (
            lambda toy: toy.header.unlink(),
            [
                "the header of a published model",
                "the memory of its denoiser",
                "the memory of its denoiser in 8 bits",
            ],
        ),
        (
            lambda toy: toy.swap(toy.header, "attention.toy", "attention.other"),
            ["the header of a published model"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "1.0, 0.5", "1.1, 0.5"),
            ["the memory of its denoiser", "docs/catalog.md, 16-bit weights"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "1.0, 0.5", "1.0, 0.6"),
            ["the memory of its denoiser in 8 bits"],
        ),
        (
            lambda toy: toy.swap(toy.facts, '"Toy-1.0"', '""'),
            ["a licence", "docs/catalog.md, licence of its authors' own models"],
        ),
        (
            lambda toy: toy.swap(toy.engine, '("Toy",)', '("Play",)'),
            ["adapters that both halves name alike"],
        ),
        (
            lambda toy: toy.swap(toy.engine, "networks = ", "networks = ('more',) + "),
            ["networks that both halves name alike"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "(ZIMAGE.files", "(ZIMAGE.files, weights={}"),
            ["files of each of its networks"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "(ZIMAGE.files", "(ZIMAGE.files, folders=('vae',)"),
            ["folders of all networks and tokenizers"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "lent=ZIMAGE.lent", "lent={'vae': ('vae.',)}"),
            [
                "names in single files that both halves know",
                "the names of its text encoder in single files",
            ],
        ),
        (
            lambda toy: toy.swap(toy.facts, "vae=ZIMAGE.vae", "vae='VAE of a toy'"),
            ["the header of its VAE", "the memory of its VAE"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "encoder=ZIMAGE.encoder", "encoder='Toy-4B'"),
            ["the header of its text encoder"],
        ),
        (
            lambda toy: toy.swap(toy.facts, "0.16, 0.16", "0.15, 0.16"),
            ["the memory of its VAE"],
        ),
        (
            lambda toy: toy.swap(toy.page, "`toy`", "`tin`"),
            [f"docs/catalog.md, {row}" for row in ROWS],
        ),
        (lambda toy: toy.swap(toy.page, "for Toy", "for all"), ["docs/catalog.md, LoRAs"]),
        (
            lambda toy: toy.swap(toy.texts / "de.toml", "({family}) kennt", "kennt"),
            ["family.negative in de"],
        ),
        (
            lambda toy: toy.swap(toy.texts / "fr.toml", "\n[family]\nnegative", "\n[family]\nno"),
            ["family.negative in fr"],
        ),
        (
            lambda toy: toy.swap(
                toy.texts / "en.toml", "({family}) takes", "is an {family} that takes"
            ),
            ["family.negative in en-US"],
        ),
    ],
)
def test_whatever_a_family_lacks_is_told(
    toy: Toy, change: Callable[[Toy], object], missing: list[str]
) -> None:
    change(toy)
    assert found(toy) == missing


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("en", "({family}) takes", "is a {family} model and takes"),
        ("de", "({family}) kennt", "ist ein {family}-Modell und kennt"),
        ("fr", "({family}) n’a pas de prompt", "est un modèle de {family} et n’a pas de prompt"),
    ],
)
def test_a_name_that_a_sentence_is_not_made_for_is_told(
    toy: Toy, language: str, before: str, after: str
) -> None:
    toy.swap(toy.facts, 'name="Toy"', 'name="Old Toy"')
    toy.swap(toy.page, "| Toy |", "| Old Toy |")
    assert found(toy) == []
    sys.modules.pop("catalog.families.toy")
    toy.swap(toy.texts / f"{language}.toml", before, after)
    (missing,) = found(toy)
    assert missing.startswith("family.negative in ")


def test_a_half_without_the_other_is_an_error_that_names_the_folder(toy: Toy) -> None:
    shutil.rmtree(toy.engine.parent)
    with pytest.raises(BadFamily, match=r"^bot/engine/families/toy is missing"):
        found(toy)
    assert [*lacks(toy.root, "none", None, None)] == [
        "its half in catalog/families",
        "its half in bot/engine/families",
        "a tiny model",
    ]


def test_an_engines_half_alone_is_one_too(toy: Toy) -> None:
    shutil.rmtree(toy.facts.parent)
    with pytest.raises(BadFamily, match=r"^catalog/families/toy is missing"):
        found(toy)


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("facts", "FAMILY =", "ANY =", "catalog/families/toy is no family"),
        ("facts", 'key="toy"', 'key="tin"', "catalog/families/toy must be the family 'toy'"),
        ("engine", "FAMILY =", "ANY =", "bot/engine/families/toy is no family"),
        ("engine", 'key = "toy"', 'key = "tin"', "bot/engine/families/toy must be the family"),
    ],
)
def test_a_wrong_half_is_an_error_that_names_the_folder(
    toy: Toy, file: str, before: str, after: str, said: str
) -> None:
    toy.swap(getattr(toy, file), before, after)
    with pytest.raises(BadFamily, match=rf"^{said}"):
        found(toy)


def test_what_is_left_of_a_folder_is_no_family(toy: Toy) -> None:
    (toy.root / "catalog/families/gone/__pycache__").mkdir(parents=True)
    assert found(toy) == []
    assert [*discovery.folders([str(toy.root / "catalog/families")])] == ["toy"]


_SCRIPT: Final = """
import json, sys
from pathlib import Path
from catalog import ModelEntry
from catalog.families import FAMILIES, of_architecture
from catalog.weight_files import Header, adapter_facts, checkpoint_facts
from catalog.weight_files.refusal import Refusal

name = "layers.0.attention.toy.weight"
shapes = {name: (32768, 16384)}
header = Header(shapes, {name: "BF16"}, {}, {}, 0, {})
facts = checkpoint_facts(Path("toy.safetensors"), header)
lora = {"lora_unet_layers_0_attention_toy.lora_down.weight": (4, 16384),
        "lora_unet_layers_0_attention_toy.lora_up.weight": (32768, 4)}
named = adapter_facts({"x.lora_A.weight": (4, 8)}, {"modelspec.architecture": "toy-1"})
said = {
    "families": [*FAMILIES],
    "model": facts.model,
    "family": of_architecture(facts.model).key,
    "unfit": str(facts.unfit(of=["Toy"], config=False)),
    "base": [adapter_facts(lora, {}).base, named.base],
    "entry": ModelEntry(key="a", name="Toy", path="a/b", family="toy").steps.default,
    "advice": Refusal("x").advice,
    "torch": "torch" in sys.modules,
}
from bot.engine.importing import prepare_libraries
prepare_libraries()
from bot.engine.families import FAMILIES as ENGINES
said["engines"] = [*ENGINES]
print(json.dumps(said))
"""


@pytest.mark.long
def test_a_family_is_there_with_its_two_folders_and_no_edit_elsewhere(tmp_path: Path) -> None:
    for package in ("bot", "catalog"):
        shutil.copytree(ROOT / package, tmp_path / package)  # with the byte code that is there
    write(ROOT, tmp_path, only_code=True)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {
        "families": [*FAMILIES, "toy"],
        "engines": [*FAMILIES, "toy"],
        "model": "Toy",
        "family": "toy",
        "unfit": "None",
        "base": ["Toy", "Toy"],
        "entry": FAMILIES[COPIED].variants[0].steps.default,
        "advice": said["advice"],
        "torch": False,
    }
    assert said["advice"].endswith("Anima, Krea 2 and Toy can be used")
