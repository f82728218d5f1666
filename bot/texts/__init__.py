"""The texts that users read, in their language."""
