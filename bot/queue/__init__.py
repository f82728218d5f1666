"""The line in front of the GPU: who is next, and when each will be ready."""

from bot.queue.queue import JobQueue, Ticket

__all__ = ["JobQueue", "Ticket"]
