"""Files that other programs keep next to a weight file, such as `ink.civitai.info`.

Each field comes from the first of SUFFIXES that has it: what a person typed outweighs what was
downloaded. A wrong or huge one costs a problem, never the weight file.
"""

from catalog.sidecars.beside import SUFFIXES, Sidecars, names_beside
from catalog.sidecars.fields import Sidecar
from catalog.sidecars.files import SIDECAR_MAX

__all__ = ["SIDECAR_MAX", "SUFFIXES", "Sidecar", "Sidecars", "names_beside"]
