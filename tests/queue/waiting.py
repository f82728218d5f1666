"""Jobs that wait, and the order in which the policy takes them."""

from dataclasses import replace

from bot.queue.policy import InPlace, Line, Waiting

HERE = InPlace("warm", ("a:1",))
NOTHING = InPlace()


def asked(
    name: str, user: int = 1, arrived: int = 0, model: str = "cold", **more: object
) -> Waiting:
    return replace(Waiting(name, f"u{user:03}", arrived, model), **more)  # type: ignore[arg-type]


def drained(line: Line, here: InPlace = NOTHING, now: float = 100.0) -> list[str]:
    """Everyone in the order in which they are served, one second each."""
    order = []
    while (choice := line.choose([here], now)) is not None:
        line.take(choice, now)
        order.append(choice.job.id)
        here, now = choice.job.needs, now + 1
    assert len(line) == 0
    return order
