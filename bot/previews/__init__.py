"""Preview pictures of models, LoRAs and embeddings: the owner's own, and painted ones."""

from bot.previews.pictures import Pictures, Shelf
from bot.previews.service import Previews, Progress

__all__ = ["Pictures", "Previews", "Progress", "Shelf"]
