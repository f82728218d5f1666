"""What is offered first when people choose a model or LoRA, and how often each is used."""

from bot.choosing.ranking import ADAPTER, MODEL, First, Kind, Used, ranked
from bot.choosing.uses import Counts, Uses

__all__ = ["ADAPTER", "MODEL", "Counts", "First", "Kind", "Used", "Uses", "ranked"]
