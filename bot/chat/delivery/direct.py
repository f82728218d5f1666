"""Direct messages: which ends of a job are worth one, and what it says."""

from bot.store import Discord, Job
from bot.texts.language import Say


def is_news(job: Job) -> bool:
    """Whether its end is worth a direct message: not to whom cancelled it, nor where the result
    could not be sent as one either."""
    return job.error is not None and not job.error.code.startswith("delivery.")


def instead(say: Say, origin: Discord) -> str:
    """What a direct message says in place of one in the channel."""
    if origin.withheld == "shown":
        return say("check.direct", channel=f"<#{origin.channel_id}>")
    if origin.absent:
        return say("delivery.where.late")
    if origin.hidden:
        return say("delivery.late", channel=f"<#{origin.channel_id}>")
    return say("delivery.direct", channel=f"<#{origin.channel_id}>")


def notice(say: Say, origin: Discord) -> str | None:
    """What everyone who saw the message of a job is told if only its person may see the result."""
    if origin.withheld != "shown":
        return None
    return say("check.notice", user=f"<@{origin.user_id}>")
