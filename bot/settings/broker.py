"""The settings of the broker at which a bot and workers on other machines meet."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from bot.settings.values import HomePath


class BrokerSettings(BaseSettings):
    """See docs/settings.md."""

    broker: SecretStr | None = Field(
        default=None,
        description="Address of the Redis or Valkey server through which the bot gives jobs to "
        "workers on other machines, such as `rediss://:PASSWORD@broker.example.org:6379`; the same "
        "on the bot and on its workers (see docs/scaling.md). If unset, there are none.",
    )
    broker_ca: HomePath | None = Field(
        default=None,
        description="File with the certificate (PEM) that signed the broker's, if the system does "
        "not trust it anyway.",
    )
    broker_tunnel: bool = Field(
        default=False,
        description="`true` allows an address of another machine to begin with `redis://` (no "
        "TLS), because something else encrypts the way there: WireGuard, Tailscale, or a network "
        "of containers on one machine.",
    )
