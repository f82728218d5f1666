"""What comes after a result: its person is called, and reactions are offered."""

import logging
from typing import Final

from bot.chat.delivery.posts import MessageContent, mention, send
from bot.chat.delivery.refusals import refusal, short
from bot.chat.delivery.sender import Delivered, Sender
from bot.chat.ui.reactions import NEW_SEED, SAME_SEED
from bot.levels import Levels
from bot.store import Discord, Job, now_ms
from bot.texts.language import Texts

log = logging.getLogger(__name__)

MINUTE_MS: Final = 60_000


class FollowUps:
    """Sends them. ping_after: see Delivery."""

    def __init__(self, sender: Sender, levels: Levels, texts: Texts, ping_after: float) -> None:
        self._sender = sender
        self._levels = levels
        self._texts = texts
        self._ping_after = ping_after
        self._started_at = now_ms()

    async def send(self, job: Job, delivered: Delivered) -> None:
        """What comes after a result that everyone in the channel sees."""
        origin = Discord.of(job.origin)
        if origin.by_token or delivered.channel_id != origin.channel_id:
            return
        rules = await self._levels.rules_of(origin)
        if delivered.edited and rules.ping and self._waited_long(job):
            await self._call(job, delivered)
        seedless = job.request.upscale is not None or job.request.describe is not None
        if rules.reactions and not seedless:
            await self._invite(job, delivered)

    def _waited_long(self, job: Job) -> bool:
        """Whether its person may have stopped watching: an edit notifies no one."""
        if not self._ping_after:
            return False
        since = now_ms() - self._ping_after * MINUTE_MS
        return job.created_at < max(since, self._started_at)

    async def _call(self, job: Job, delivered: Delivered) -> None:
        """Mention the person once, in a reply to the result."""
        origin = Discord.of(job.origin)
        text = self._texts.speaker(origin.locale)("result.ready", user=mention(origin.user_id))
        channel = self._sender.channel(job)
        reply_to = channel.get_partial_message(delivered.message_id)
        try:
            await send(
                channel,
                MessageContent(text=text, mention=origin.user_id),
                nonce=f"{job.id}-ready",
                reply_to=reply_to.to_reference(fail_if_not_exists=False),
            )
        except Exception as error:
            if refusal(error) is None:
                raise
            log.info("job %s: its person was not told that it is ready: %s", job.id, short(error))

    async def _invite(self, job: Job, delivered: Delivered) -> None:
        message = self._sender.channel(job).get_partial_message(delivered.message_id)
        for emoji in (SAME_SEED, NEW_SEED):
            try:
                await message.add_reaction(emoji)
            except Exception as error:
                if refusal(error) is None:
                    raise
                log.info("job %s: no reaction added: %s", job.id, short(error))
                return
