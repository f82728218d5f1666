"""What the file of a ControlNet says about itself: whose models it is for, and its kind."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

ControlKind: TypeAlias = Literal["controlnet", "union", "t2i_adapter"]


@dataclass(frozen=True, slots=True)
class ControlNetFacts:
    """kind: `controlnet` (arXiv 2302.05543), `union` for one that follows several types,
    `t2i_adapter` (arXiv 2302.08453). family: key of the family whose models it is for."""

    kind: ControlKind
    family: str
