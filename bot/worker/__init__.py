"""Drains the queue: one consumer with its engine per lane, and the observers of jobs."""
