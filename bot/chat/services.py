"""What the cogs work with, built before they are loaded."""

from dataclasses import dataclass

from bot.backend import Backend
from bot.chat.audit import Audit
from bot.chat.contexts import Contexts
from bot.chat.delivery import Delivery
from bot.chat.draining import Draining
from bot.chat.here import FindHere
from bot.chat.owners import Owners
from bot.previews import Previews
from bot.privacy import Exporter, Forgetter
from bot.texts.language import Texts
from bot.worker.blocking import Blocking
from bot.worker.workers import Workers


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a bot that its commands, buttons and reactions use."""

    texts: Texts
    find_here: FindHere
    contexts: Contexts
    backend: Backend
    delivery: Delivery
    workers: Workers
    previews: Previews
    forgetter: Forgetter
    exporter: Exporter
    owners: Owners
    audit: Audit
    blocking: Blocking
    draining: Draining
