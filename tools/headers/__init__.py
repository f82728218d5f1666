"""The tensor names and shapes of published models, written into tests/catalog/weight_files/headers.

`python -m tools.headers` builds each model of diffusers and each text encoder of transformers on
the meta device, with no weights, in the size of the published one. A file has one line for names
that differ in numbers alone: `layers.{0-29}.mlp.weight 4096 1024`.
"""

from tools.headers.models import MODELS

__all__ = ["MODELS"]
