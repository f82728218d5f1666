"""Enlarging images with networks that were trained for it, without a checkpoint."""

from bot.engine.upscaling.upscaling import Enlarged, Upscaling, make_room

__all__ = ["Enlarged", "Upscaling", "make_room"]
