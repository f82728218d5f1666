"""How acts read: who, what and to whom, and no names that are only for age-restricted channels."""

from dataclasses import replace
from typing import Any

import pytest

from bot.chat.ui.acts import act_line, report_text, report_view
from bot.store import Act, ActKind, Decision, Report
from catalog import AdapterEntry, Catalog, ControlNetEntry, ControlNets
from tests.language import TEXTS
from tests.store.factories import any_job

SAY = TEXTS.speaker()
VELVET = AdapterEntry(key="velvet", name="Velvet", path="org/velvet", nsfw=True)
FROST = AdapterEntry(key="frost", name="Frost", path="org/frost")
SILK = ControlNetEntry(key="silk", name="Silken edges", path="org/silk", nsfw=True)
CATALOG = Catalog(
    {}, {"velvet": VELVET, "frost": FROST}, "", controlnets=ControlNets({"silk": SILK})
)


def line(kind: ActKind, subject: str | None = None, **details: Any) -> str:
    return act_line(SAY, Act(1, 0, kind, "discord:7", "discord:100", subject, details), CATALOG)


@pytest.mark.parametrize(
    ("kind", "subject", "details", "said"),
    [
        (ActKind.BLOCKED, "discord:8", {"what": "person"}, "🚫 <@7> blocked <@8>"),
        (ActKind.PRESET_SHARED, "moody", {}, "🔖 <@7> shared a preset with the server: `moody`"),
        (ActKind.PRESET_DELETED, "Velvety", {}, "🔖 <@7> deleted a preset of the server: `…`"),
        (ActKind.PRESET_DELETED, "Silk", {}, "🔖 <@7> deleted a preset of the server: `…`"),
        (ActKind.BLOCKED, "discord:9", {"what": "server"}, "🚫 <@7> blocked `9`"),
        (
            ActKind.ENTRY_DISABLED,
            "frost",
            {"what": "adapter"},
            "📚 <@7> disabled an entry of the catalog: LoRA `frost`",
        ),
        (
            ActKind.ENTRY_DISABLED,
            "velvet",
            {"what": "adapter"},
            "📚 <@7> disabled an entry of the catalog: LoRA for age-restricted channels",
        ),
        (
            ActKind.SETTING_CHANGED,
            "discord:100",
            {"level": "server", "name": "steps", "after": 20},
            "⚙️ <@7> changed the settings: `steps` `– → 20`",
        ),
        (
            ActKind.SETTING_CHANGED,
            "discord:5",
            {"level": "channel", "name": "loras", "before": "frost:1", "after": "Velvet:1"},
            "⚙️ <@7> changed the settings: `loras` `frost:1 → …` (<#5>)",
        ),
        (
            ActKind.RESULT_DELETED,
            "abc",
            {"owner": "discord:8"},
            "🗑️ <@7> deleted an image that <@8> requested (job `abc`)",
        ),
    ],
)
def test_a_line(kind: ActKind, subject: str, details: dict[str, Any], said: str) -> None:
    assert line(kind, subject, **details) == said


@pytest.mark.parametrize("kind", ActKind)
@pytest.mark.parametrize("locale", ["en", "de", "fr"])
def test_every_kind_is_said_and_fits(kind: ActKind, locale: str) -> None:
    act = Act(1, 0, kind, "the bot", None, "velvet", {"x": "velvet`" * 900, "what": "adapter"})
    text = act_line(TEXTS.speaker(locale), act, CATALOG)
    assert 0 < len(text) <= 2_000
    assert "velvet" not in text or kind not in (ActKind.ENTRY_ENABLED, ActKind.ENTRY_DISABLED)


@pytest.mark.parametrize("decision", [None, *Decision])
def test_a_report_has_buttons_until_it_is_decided(decision: Decision | None) -> None:
    report = Report("r", "abc", "discord:8", "it `shows` me\n> x" * 300, 0, decision, "discord:9")
    text = report_text(SAY, report, any_job(user_id=7, guild_id=1, channel_id=2, message_id=3))
    assert "https://discord.com/channels/1/2/3" in text
    assert len(text) <= 2_000
    assert ("by <@9>" in text) == (decision is not None)
    view = report_view(SAY, report)
    left = {None: 3, Decision.BLOCKED: 1}.get(decision)  # the image can be deleted still
    assert (view and len(view.children)) == left


def test_a_report_says_what_is_so_of_what_is_still_there_and_who_is_not() -> None:
    job = any_job(user_id=7, guild_id=1)
    decided = Report("r", "abc", "", "why", 0, Decision.DELETED, "discord:9", 1, shown=True)
    text = report_text(SAY, decided, job)
    assert "still visible" in text
    assert "**Deleted**" not in text
    forgotten = report_text(SAY, replace(decided, decided_by="", shown=False), job)
    assert "**Deleted** by [deleted]" in forgotten
    assert "<@>" not in forgotten
