"""What the prompt syntax of other programs means here."""
