"""A running consumer, as for the workers."""

from tests.worker.conftest import build as build
