"""The queue in front of the GPUs: which job is next, on which GPU, and when it will be ready."""

from bot.queue.lanes import Lane, LaneState
from bot.queue.outlook import Ticket
from bot.queue.queue import JobQueue

__all__ = ["JobQueue", "Lane", "LaneState", "Ticket"]
