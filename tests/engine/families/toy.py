"""A family for tests: Z-Image under another name, with files of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.test_families import column

COPIED: Final = "zimage"
_HEADERS: Final = "tests/catalog/weight_files/headers"

_FACTS: Final = '''"""A toy."""

from dataclasses import replace

from catalog.families.family import Part
from catalog.families.recognition import BaseNames, Transformer
from catalog.families.zimage import ZIMAGE

RECOGNITION = Transformer(
    model=lambda prefix, shapes: "Toy" if any("attention.toy" in name for name in shapes) else "",
    pipeline="Toy",
    adapter_base=lambda names, widths: "Toy" if "_attention_toy" in names else "",
    base_names=BaseNames(bases=(("toy", "Toy"),)),
)
FAMILY = replace(
    ZIMAGE,
    key="toy",
    place=1000,
    name="Toy",
    licence="Toy-1.0",
    architectures=("Toy",),
    adapter_bases=("Toy",),
    recognition=RECOGNITION,
    repositories=frozenset(),
    files=replace(ZIMAGE.files),
    vae=ZIMAGE.vae,
    encoder=ZIMAGE.encoder,
    lent=ZIMAGE.lent,
    parts=(Part("transformer", 1.0, 0.5), ZIMAGE.parts[1], Part("vae", 0.16, 0.16)),
)
'''
_ENGINE: Final = '''"""A toy."""

from bot.engine.families.zimage import ZImage


class Toy(ZImage):
    key = "toy"
    adapter_bases = ("Toy",)
    networks = ZImage.networks


FAMILY = Toy()
'''
_TINY: Final = '''"""A tiny toy."""

from pathlib import Path


def build(folder: Path) -> None:
    folder.mkdir()
'''


@dataclass(frozen=True, slots=True)
class Toy:
    """Where it is. root: as of the repository, with what belongs to this family alone."""

    root: Path

    @property
    def facts(self) -> Path:
        return self.root / "catalog/families/toy/__init__.py"

    @property
    def engine(self) -> Path:
        return self.root / "bot/engine/families/toy/__init__.py"

    @property
    def tiny(self) -> Path:
        return self.root / "tests/engine/families/toy/tiny_model.py"

    @property
    def header(self) -> Path:
        return self.root / _HEADERS / "toy.txt"

    @property
    def page(self) -> Path:
        return self.root / "docs/catalog.md"

    @property
    def texts(self) -> Path:
        return self.root / "bot/texts"

    def swap(self, file: Path, before: str, after: str) -> None:
        """Write `after` into a file, where it says `before`."""
        text = file.read_text(encoding="utf-8")
        assert before in text
        file.write_text(text.replace(before, after), encoding="utf-8")


def write(repository: Path, root: Path, *, only_code: bool = False) -> None:
    """Write the two folders of the family into `root`, and what else belongs to one.

    repository: where the texts and the page are copied from.
    """
    toy = Toy(root)
    files = {toy.facts: _FACTS, toy.engine: _ENGINE}
    if not only_code:
        page = (repository / "docs/catalog.md").read_text(encoding="utf-8")
        header = "layers.0.attention.toy.weight 32768 16384\n"
        files |= {toy.tiny: _TINY, toy.header: header, toy.page: _page(page)}
        shutil.copytree(repository / "bot/texts", toy.texts)
        for network in ("vae", "encoder"):
            for listed in (repository / _HEADERS).glob(f"{network}-*.txt"):
                files[root / _HEADERS / listed.name] = listed.read_text(encoding="utf-8")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _page(page: str) -> str:
    """`page` with one more column in the table of families."""
    told = column(page, COPIED)
    own = {
        "": "Toy",
        "key": "`toy`",
        "LoRAs": "for Toy",
        "16-bit weights": "8.5 GiB",
        "licence of its authors' own models": "Toy-1.0",
    }
    lines, within = [], False
    for line in page.splitlines():
        within = line == "## Model families" or (within and not line.startswith("## "))
        if within and line.startswith("|"):
            row = line.split("|")[1].strip()
            line += f" {own.get(row) or told.get(row, '---')} |"
        lines.append(line)
    return "\n".join(lines)
