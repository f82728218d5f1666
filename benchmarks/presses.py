"""Pressing the buttons below a result, as people do while others' images are being generated."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.spread import Spread
from playground import Interaction, Message, User

SAME, EDIT, MORE, DETAILS = "🔁", "✏️", "➕", "ℹ️"


@dataclass(frozen=True, slots=True)
class Presses:
    """How long each button took to be acknowledged.

    same: queues the request again and posts its place in line. edit: opens the form. more: lists
    the other actions, privately. details: is postponed, and answered privately.
    """

    same: Spread
    edit: Spread
    more: Spread
    details: Spread


class Presser:
    """Presses the buttons of `result`, by `users` in turn. Raises SystemExit where a press is not
    answered as its button should be."""

    def __init__(self, users: Sequence[User], result: Message) -> None:
        self._users = users
        self._result = result
        self._more: list[Message] = []

    async def unfold(self) -> None:
        """Have the list of more actions before each user, for `details`."""
        self._more = [(await self._list(user))[0] for user in self._users]

    async def same(self, number: int) -> float:
        call = await self._user(number).click(self._result, SAME)
        return _took(call, call.original is not None and not call.ephemeral)

    async def edit(self, number: int) -> float:
        call = await self._user(number).click(self._result, EDIT)
        return _took(call, call.modal is not None)

    async def more(self, number: int) -> float:
        return (await self._list(self._user(number)))[1]

    async def details(self, number: int) -> float:
        call = await self._user(number).click(self._more[number % len(self._more)], DETAILS)
        return _took(call, call.ephemeral)

    def _user(self, number: int) -> User:
        return self._users[number % len(self._users)]

    async def _list(self, user: User) -> tuple[Message, float]:
        call = await user.click(self._result, MORE)
        took = _took(call, call.ephemeral)
        if call.message is None:
            raise SystemExit(f"Nothing to choose from: {call}")
        return call.message, took


def _took(call: Interaction, as_expected: bool) -> float:
    if call.ack_ms is None or not as_expected:
        raise SystemExit(f"Not answered as expected: {call}")
    return call.ack_ms
