"""Letting someone start over: what they have asked for no longer counts towards limits."""

import sqlite3

from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database
from bot.store.jobs import now_ms
from bot.store.usage import DAY, Spent

_RESET = (
    "INSERT INTO quota_resets (job_id, within) SELECT id, :within FROM jobs"
    " WHERE person = :person AND created_at > :since AND kind != 'cell'"
    " AND :within IN ('', community) AND NOT EXISTS"
    " (SELECT 1 FROM quota_resets AS resets WHERE resets.job_id = jobs.id AND within = '')"
    " ON CONFLICT DO NOTHING"
)
_OUTDATED = (
    "DELETE FROM quota_resets WHERE EXISTS"
    " (SELECT 1 FROM jobs WHERE jobs.id = job_id AND created_at <= ?)"
)


class Resets:
    """Every reset is recorded as an act, in the same transaction.

    It names the requests that no longer count, rather than a time: whatever the clock does, no
    more is given back than was used, and what comes of those requests gives nothing back again.
    """

    def __init__(self, database: Database, spent: Spent, acts: Acts) -> None:
        self._database = database
        self._spent = spent
        self._acts = acts

    async def reset(self, person: str, *, within: str, actor: str) -> bool:
        """What `person` has asked for so far counts no longer towards the limits of the server
        `within` and its channels, or any if it is EVERYWHERE; returns False if nothing did."""

        since = now_ms() - DAY * 1000

        def reset(write: sqlite3.Connection) -> bool:
            values = {"person": person, "within": within, "since": since}
            stored = write.execute(_RESET, values).rowcount
            spent = self._spent.of(person, since)
            if not stored and self._spent.without(person, within, since) == spent:
                return False
            write.execute(_OUTDATED, (since,))
            insert_act(write, ActKind.QUOTA_RESET, actor, within or None, person, {})
            return True

        done = await self._database.write(reset)
        if done:
            self._spent.keep(person, self._spent.without(person, within, since))
            self._acts.recorded()
        return done
