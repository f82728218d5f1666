"""Monitoring: metrics for Prometheus, served with the health checks."""

from bot.metrics.lag import measure_lag
from bot.metrics.metrics import Metrics
from bot.metrics.server import exposed

__all__ = ["Metrics", "exposed", "measure_lag"]
