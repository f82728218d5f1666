"""How much is stored of a person: what forgetting them would delete, and what stays."""

from dataclasses import dataclass

from bot.store.database import Database
from bot.store.personal.span import Span

_JOBS = """
SELECT count(*) AS jobs,
       coalesce(sum(state IN ('pending', 'running')), 0) AS waiting,
       coalesce(sum(EXISTS (SELECT 1 FROM jobs AS made INDEXED BY jobs_by_parent
           WHERE made.parent_id = jobs.id AND made.person != jobs.person)), 0) AS parents,
       coalesce(sum(EXISTS (SELECT 1 FROM discord_jobs
           WHERE job_id = jobs.id AND message_id IS NOT NULL)), 0) AS messages
FROM jobs WHERE person = :person AND created_at >= :since AND created_at < :until
"""
_IMAGES = """
SELECT count(*) AS images, coalesce(sum(bytes), 0) AS bytes
FROM jobs CROSS JOIN images ON job_id = jobs.id AND pruned_at IS NULL
WHERE person = :person AND created_at >= :since AND created_at < :until
"""
_REST = """
SELECT
    (SELECT count(*) FROM favourites WHERE person = :person
        AND kept_at >= :since AND kept_at < :until) AS favourites,
    (SELECT count(*) FROM presets WHERE person = :person AND community IS NULL
        AND saved_at >= :since AND saved_at < :until) AS presets,
    (SELECT count(*) FROM presets WHERE person = :person AND community IS NOT NULL
        AND saved_at >= :since AND saved_at < :until) AS shared_presets,
    (SELECT count(*) FROM reports WHERE reporter = :person
        AND made_at >= :since AND made_at < :until) AS reports,
    (SELECT count(*) FROM forms WHERE person = :person
        AND made_at >= :since AND made_at < :until) AS forms,
    (SELECT count(*) FROM level_settings WHERE level = 'person' AND place = :person) AS settings,
    (SELECT count(*) FROM acts WHERE (actor = :person OR subject = :person)
        AND at >= :since AND at < :until) AS acts,
    (SELECT count(*) FROM blocks WHERE kind = 'person' AND blocked = :person) AS blocks
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Of a person, within a span.

    jobs: their requests; waiting: those of them that wait or run; parents: those from which others
    have made something. messages: in Discord, with results. images: files, of `bytes` together.
    presets: that only they can use; shared_presets: those that a server can. forms: sent back for a
    mistake. acts: done by them or to them. settings, blocks: at any time; blocks are of them.
    """

    jobs: int
    waiting: int
    parents: int
    messages: int
    images: int
    bytes: int
    favourites: int
    presets: int
    shared_presets: int
    reports: int
    forms: int
    acts: int
    settings: int
    blocks: int

    def anything(self, span: Span) -> bool:
        """Whether there is something to forget in that span."""
        dated = (self.jobs, self.favourites, self.presets, self.shared_presets, self.reports)
        return any((*dated, self.forms, self.acts, span.whole and self.settings))


async def holdings(database: Database, person: str, span: Span) -> Holdings:
    """What is stored of `person`."""
    values = {"person": person, "since": span.since, "until": span.until}
    found: dict[str, int] = {}
    for sql in (_JOBS, _IMAGES, _REST):
        row = await database.row(sql, values)
        if row is not None:
            found |= dict(row)
    return Holdings(**found)
