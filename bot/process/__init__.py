"""The process itself: its locks, signals, restarts and the watchdog on its event loop."""
