"""The state that the parts of the playground share."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from playground.errors import Problem, form_error
from playground.faults import Faults
from playground.gateway import Gateway
from playground.openapi import OpenApi
from playground.state import Attachment, InteractionState
from playground.waiting import Signal
from playground.world import World


@dataclass(frozen=True)
class Request:
    """One REST request from the bot: when (monotonic), what, and the status returned."""

    time: float
    method: str
    path: str
    body: Any
    status: int
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upload:
    """An uploaded file as received."""

    filename: str
    data: bytes


@dataclass
class Core:
    """The shared state; no part keeps its own copy of any of it."""

    world: World
    signal: Signal
    gateway: Gateway
    openapi: OpenApi
    faults: Faults
    token: str
    violations: list[str]
    requests: list[Request] = field(default_factory=list)
    interactions: dict[str, InteractionState] = field(default_factory=dict)
    base_url: str = ""
    attachment_size_limit: int = 10 * 1024 * 1024
    ack_deadline: float = 3.0
    token_life: float = 15 * 60.0
    # "Checked for uniqueness in the past few minutes".
    nonce_memory: float = 300.0
    typing: list[tuple[float, int]] = field(default_factory=list)
    # While it is not set, requests are carried out but not answered; `held` counts those.
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0
    # Every file ever uploaded, by its path: a URL stays valid after an edit.
    files: dict[str, Attachment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answering.set()

    def violate(self, text: str) -> None:
        """Record something that should never happen with a correct bot."""
        self.violations.append(text)
        self.signal.notify()

    def demand(self, problems: list[Problem], where: str) -> None:
        """Record what Discord ignores; raise ApiError for what it rejects."""
        for problem in problems:
            if not problem.refused:
                self.violate(f"{where}: {problem}")
        refused = [problem for problem in problems if problem.refused]
        if refused:
            raise form_error(refused)

    def live(self, interaction: InteractionState) -> bool:
        """Whether the interaction's token is still valid."""
        return not interaction.dead and time.monotonic() - interaction.created < self.token_life
