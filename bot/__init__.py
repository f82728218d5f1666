"""From a request to a delivered image."""

__version__ = "0.1.0"
