"""What a person asks for: the request, its limits and its syntax."""

from bot.request.model import SEED_MAX, AdapterUse, GenerationRequest

__all__ = ["SEED_MAX", "AdapterUse", "GenerationRequest"]
