"""The panels in which people, channels and servers change their settings."""

from bot.chat.ui.settings.form import VALUE, SettingFormId, setting_form
from bot.chat.ui.settings.groups import GROUPS, group_of, names_of
from bot.chat.ui.settings.panel import (
    SettingBackId,
    SettingGroupId,
    SettingPickId,
    SettingResetId,
    SettingValueId,
    choose_layout,
    panel_layout,
)
from bot.chat.ui.settings.values import (
    changed_line,
    choice_label,
    names_gated,
    setting_choices,
    setting_named,
)

__all__ = [
    "GROUPS",
    "VALUE",
    "SettingBackId",
    "SettingFormId",
    "SettingGroupId",
    "SettingPickId",
    "SettingResetId",
    "SettingValueId",
    "changed_line",
    "choice_label",
    "choose_layout",
    "group_of",
    "names_gated",
    "names_of",
    "panel_layout",
    "setting_choices",
    "setting_form",
    "setting_named",
]
