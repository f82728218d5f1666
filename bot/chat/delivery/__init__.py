"""From a job to what people see of it: status, result, failure, by whichever way is open."""

from bot.chat.delivery.delivery import Delivery
from bot.chat.delivery.posts import mention, only

__all__ = ["Delivery", "mention", "only"]
