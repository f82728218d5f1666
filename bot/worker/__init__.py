"""What drains the queue: one consumer with its engine, and who hears of each job."""
