"""The CUDA cards of this machine, found without importing torch.

The driver is asked in a short-lived process (`bot/cards/driver.py`): a card that hangs in it must
not take the bot along, and a process that has called it keeps a hold on every card.
"""

from bot.cards.cards import Card, find_cards

__all__ = ["Card", "find_cards"]
