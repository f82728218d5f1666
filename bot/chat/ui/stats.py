"""/stats: figures of a person or a server, as a chart and in words."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import discord

from bot.chat.ui.markdown import one_line, seen, shortened
from bot.chat.ui.messages import ALT_TEXT_MAX
from bot.files.charts import Chart
from bot.store.figures import Tally
from bot.texts.language import Say

NAMES_MAX: Final = 5


def chart_of(
    say: Say,
    tally: Tally,
    title: str,
    first: datetime,
    days: int,
    named: Callable[[str], str | None],
) -> Chart:
    """first: the first day. named: what a model or LoRA of that key is called here; None if it may
    not be named."""
    dates = [first + timedelta(days=n) for n in range(days)]
    labels = [say("stats.day", day=date.day, month=date.month) for date in dates]
    return Chart(
        title=seen(title),
        subtitle=say("stats.span", count=days),
        tiles=[
            (_number(tally.images), say("stats.images", count=tally.images)),
            (_number(tally.jobs), say("stats.jobs", count=tally.jobs)),
            (_wait(say, tally.waited(0.5)), say("stats.wait")),
            (_number(tally.ended["failed"]), say("stats.failed", count=tally.ended["failed"])),
        ],
        days_title=say("stats.per_day"),
        days=[tally.days[n] for n in range(days)],
        day_labels=labels,
        groups=[
            (say("stats.models"), _top(say, tally.models.most_common(), named)),
            (say("stats.loras"), _top(say, tally.loras.most_common(), named)),
        ],
        empty=say("stats.none"),
    )


def stats_layout(
    say: Say, chart: Chart, picture: str, ended: Mapping[str, int], longest: int | None
) -> discord.ui.LayoutView:
    """picture: the attachment with the chart. ended: see Tally. longest: seconds within which
    nearly all began."""
    view = discord.ui.LayoutView(timeout=None)
    item = discord.MediaGalleryItem(f"attachment://{picture}", description=alt_text(chart))
    view.add_item(discord.ui.MediaGallery(item))
    lines = [say("stats.ended", **{name: ended[name] for name in ENDED})]
    if longest is not None:
        lines.append(say("stats.waited", seconds=_seconds(say, longest)))
    view.add_item(discord.ui.TextDisplay("\n".join(f"-# {line}" for line in lines)))
    return view


ENDED: Final = ("delivered", "failed", "cancelled")


def alt_text(chart: Chart) -> str:
    """The same figures, for people who do not see the chart."""
    parts = [f"{chart.title}, {chart.subtitle}"]
    parts += [f"{label}: {figure}" for figure, label in chart.tiles]
    for title, names in chart.groups:
        if names:
            parts.append(f"{title}: " + ", ".join(f"{name} {count}" for name, count in names))
    busy = [
        f"{label} {count}"
        for label, count in zip(chart.day_labels, chart.days, strict=True)
        if count
    ]
    parts.append(f"{chart.days_title}: " + ", ".join(busy))
    return shortened(". ".join(parts), ALT_TEXT_MAX)


def since(now: datetime, days: int) -> datetime:
    """The beginning of the first of so many days, of which the last is today, in UTC."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return today - timedelta(days=days - 1)


def _top(
    say: Say, counted: Sequence[tuple[str, int]], named: Callable[[str], str | None]
) -> list[tuple[str, int]]:
    """The most used, those that may not be named together."""
    shown, unnamed = [], 0
    for key, count in counted:
        if (name := named(key)) is None:
            unnamed += count
        else:
            shown.append((one_line(name, 60).replace("\\", ""), count))
    top = shown[:NAMES_MAX]
    if unnamed:
        top = [*shown[: NAMES_MAX - 1], (say("stats.others"), unnamed)]
    return sorted(top, key=lambda each: -each[1])


def _wait(say: Say, seconds: int | None) -> str:
    return "–" if seconds is None else _seconds(say, seconds)


def _seconds(say: Say, seconds: float) -> str:
    if seconds < 90:
        return say("stats.seconds", value=round(seconds))
    if seconds < 90 * 60:
        return say("stats.minutes", value=round(seconds / 60))
    return say("stats.hours", value=round(seconds / 3600, 1))


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\u2009")
