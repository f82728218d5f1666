"""Showing a job to its user: status, result or failure, through any route Discord accepts."""

from bot.chat.delivery.afterwards import Removed
from bot.chat.delivery.delivery import Delivery
from bot.chat.delivery.endings import Endings
from bot.chat.delivery.posts import mention, only
from bot.chat.delivery.removal import Removal

__all__ = ["Delivery", "Endings", "Removal", "Removed", "mention", "only"]
