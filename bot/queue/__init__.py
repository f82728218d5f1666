"""The line in front of the GPUs: who is next, on which, and when each will be ready."""

from bot.queue.lanes import Lane
from bot.queue.queue import JobQueue, Ticket

__all__ = ["JobQueue", "Lane", "Ticket"]
