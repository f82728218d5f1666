"""Monitoring: metrics for Prometheus and health checks."""

from bot.metrics.health import Check, Health
from bot.metrics.lag import measure_lag
from bot.metrics.metrics import Metrics
from bot.metrics.server import exposed

__all__ = ["Check", "Health", "Metrics", "exposed", "measure_lag"]
