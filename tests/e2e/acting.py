"""Every action on a result, as it would arrive from anyone who can make a client say anything."""

from dataclasses import replace
from typing import Any

from playground import Interaction, Message, Playground, User, payloads
from playground.interactions import DEFER_UPDATE
from playground.state import COMMAND, COMPONENT, MODAL, Channel

ROW, BUTTON, SELECT, TEXT, LABEL = 1, 2, 3, 4, 18

MENUS = {
    "menu again": "Again",
    "menu edit": "Edit",
    "menu use": "Use as image",
    "menu delete": "Delete",
}
PICKED = {"useas": "start 0", "varyby": "0 0.2", "extendby": "0 zoom 2", "partsquares": "A1"}
"""Actions that are picked in a menu, and what is."""
AGAIN = ("same", "new", "menu again", "varyby", "extendby")
"""Actions that generate an image at once."""
FORMS = (
    *("edit", "use", "useas", "savepreset", "menu edit", "menu use", "variations"),
    *("extend", "part", "partsquares"),
)
"""Those that ask for something first."""
MAKING = (*AGAIN, *FORMS, "editform", "partform", "presetform")
DELETING = ("delete", "menu delete")
REPORTING = ("report", "reportform")
LOOKING = ("historypick", "comparewith", "send", "keep")
"""Those of a list, and of what is opened from it."""
ALL = (*MAKING, *DELETING, "erase", *REPORTING, "details", "publish")


FURTHER = {"editform": "::", "partsquares": ":0", "partform": ":0:0001"}
"""What follows the job in an id, of those that have more."""


def field(name: str, value: str) -> dict[str, Any]:
    inner = (
        {"type": SELECT, "id": 2, "custom_id": name, "values": [value]}
        if name == "model"
        else {"type": TEXT, "id": 2, "custom_id": name, "value": value}
    )
    return {"type": LABEL, "id": 1, "component": inner}


def form(**values: str) -> list[dict[str, Any]]:
    """The fields of a form as Discord sends them."""
    return [field(name, value) for name, value in values.items()]


def option_of(value: str) -> dict[str, str]:
    return {"label": "it", "value": value}


def forged(
    playground: Playground,
    user: User,
    channel: Channel,
    message: Message,
    action: str,
    job_id: str,
    **entered: str,
) -> Interaction:
    """`action` on the job by its id, as if its button, form or menu were in `channel`.

    entered: what a form holds.
    """
    core = playground.core
    if action in MENUS:
        shown = payloads.message(message, core.world)
        data: dict[str, Any] = {
            "id": "1",
            "name": MENUS[action],
            "type": 3,
            "target_id": str(message.id),
            "resolved": {"messages": {str(message.id): shown}},
        }
        return Interaction(core, COMMAND, user, channel, data)
    custom_id = f"{action}:{job_id}{FURTHER.get(action, '')}"
    if action.endswith("form"):
        data = {"custom_id": custom_id, "components": form(**entered)}
        source = message
        if action == "partform":
            source = replace(message, channel=channel)
            source.id = core.world.snowflakes.next()  # a question, which may be deleted
        press = Interaction(core, COMPONENT, user, channel, {}, source=source)
        return Interaction(core, MODAL, user, channel, data, source=source, parent=press)
    component: dict[str, Any] = {"type": BUTTON, "style": 2, "label": "it", "custom_id": custom_id}
    data = {"custom_id": custom_id, "component_type": BUTTON, "id": 2}
    if action in PICKED:
        picked = PICKED[action]
        component = {"type": SELECT, "custom_id": custom_id, "options": [option_of(picked)]}
        data |= {"component_type": SELECT, "values": [picked]}
    if action == "historypick":
        component = {"type": SELECT, "custom_id": "historypick:", "options": [option_of(job_id)]}
        data |= {"custom_id": "historypick:", "component_type": SELECT, "values": [job_id]}
    row = {"type": ROW, "id": 1, "components": [component | {"id": 2}]}
    source = replace(message, channel=channel, components=[row])
    if action in PICKED:
        source.id = core.world.snowflakes.next()  # a question of its own, which may be deleted
    return Interaction(core, COMPONENT, user, channel, data, source=source)


async def outcome(call: Interaction) -> str:
    """What has come of it: `form`, `queued`, or the words of a private answer."""
    if call.acknowledged is None:
        await call.start()
    if call.modal is not None:
        return "form"
    for message in (call.original, *call.followups):
        if message is not None:
            assert message.mentions <= {call.user.id}
            assert not message.mention_everyone
    if call.acknowledged == DEFER_UPDATE and await vanished(call):
        return "queued"
    message = await answer(call)
    assert message.mentions <= {call.user.id}
    if not message.ephemeral:
        assert message.channel is call.channel
        assert message.embeds
        return "queued"
    return message.text


async def vanished(call: Interaction) -> bool:
    """Whether the question that was answered goes, as it does for a message in the channel; a
    private answer leaves it."""
    question = call.source
    assert question is not None
    await call._core.signal.wait_for(
        lambda: question.deleted or bool(call.followups), 30, lambda: f"{call} has no answer"
    )
    return question.deleted


async def answer(call: Interaction) -> Message:
    """The first message that answers it: the response, or what follows a deferred one."""

    def found() -> Message | None:
        response = None if call.acknowledged == DEFER_UPDATE else call.message
        return response or next(iter(call.followups), None)

    await call._core.signal.wait_for(
        lambda: found() is not None, 30, lambda: f"{call} has no answer"
    )
    message = found()
    assert message is not None
    return message
