"""What may not be asked for: blocked words and patterns, found however they are spelt."""
