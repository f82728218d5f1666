"""The line in front of the GPU: who is next, and when each will be ready."""

from bot.queue.queue import CRASHES_MAX, JobQueue, Ticket

__all__ = ["CRASHES_MAX", "JobQueue", "Ticket"]
