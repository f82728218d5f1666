"""Who calls, and how often."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.api.callers import FAILURES, LOCAL, Callers, is_local, presented
from bot.api.errors import NoValidKey, TooManyCalls
from bot.api.loopback import is_loopback
from bot.store import ApiKey, Store
from tests.api.calls import call


def basic(text: str) -> tuple[str, str]:
    return ("authorization", f"Basic {base64.b64encode(text.encode()).decode()}")


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ((), None),
        ((("authorization", "Bearer imagen_a"),), "imagen_a"),
        ((("authorization", "bearer   imagen_a "),), "imagen_a"),
        ((("authorization", "BEARER"),), ""),
        ((("x-api-key", " imagen_a "),), "imagen_a"),
        ((("x-api-key", ""),), ""),
        ((("x-api-key", "imagen_a"), ("authorization", "Bearer imagen_b")), "imagen_a"),
        ((basic("user:imagen_a"),), "imagen_a"),
        ((basic("imagen_a:"),), "imagen_a"),
        ((basic("imagen_a"),), "imagen_a"),
        ((basic("user:a:b"),), "a:b"),
    ],
)
def test_where_a_key_may_be(headers: tuple[tuple[str, str], ...], key: str | None) -> None:
    assert presented(call(*headers)) == key


def test_a_key_in_an_address_is_none() -> None:
    assert presented(call(query="key=imagen_a&api_key=imagen_a&access_token=imagen_a")) is None


@pytest.mark.parametrize(
    "header",
    ["", "imagen_a", "Digest a", "Basic ?", "Basic \xff", "Basic YQ", "Basic /w==", "Basic"],
)
def test_a_header_that_cannot_be_read_is_an_invalid_key(header: str) -> None:
    request = call(("authorization", header))
    if header == "Basic":
        assert presented(request) == ""
        return
    with pytest.raises(NoValidKey):
        presented(request)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("fe80::1%eth0", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("headers", "local"),
    [
        ((), True),
        ((("X-Forwarded-For", "127.0.0.1"),), False),
        ((("Forwarded", "for=127.0.0.1"),), False),
        ((("X-Real-IP", "127.0.0.1"),), False),
        ((("X-Forwarded-Proto", "https"),), False),
        ((("X-Forwarded-Host", "localhost"),), False),
        ((("Via", "1.1 proxy"),), False),
        ((("CF-Connecting-IP", "127.0.0.1"),), False),
    ],
)
def test_what_came_through_a_proxy_is_not_from_this_machine(
    headers: tuple[tuple[str, str], ...], local: bool
) -> None:
    assert is_local(call(*headers)) is local


@pytest.mark.parametrize("client", [None, ("192.0.2.1", 1), ("2001:db8::1", 1)])
def test_another_machine_is_not_this_one(client: tuple[str, int] | None) -> None:
    assert not is_local(call(client=client))


def test_a_proxy_that_adds_no_header_speaks_http_1_0() -> None:
    assert not is_local(call(version="1.0"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        yield store


async def test_without_keys_only_this_machine_is_served(store: Store) -> None:
    callers = Callers(store)
    assert await callers.of(call()) is LOCAL
    assert await callers.of(call(("x-api-key", "anything"))) is LOCAL
    for elsewhere in (call(client=("192.0.2.1", 1)), call(("via", "1.1 proxy"))):
        with pytest.raises(NoValidKey):
            await callers.of(elsewhere)


async def test_with_a_key_this_machine_needs_one_too(store: Store) -> None:
    callers = Callers(store)
    secret = await store.api_keys.add("ada", priority=2)
    assert secret is not None
    for headers in ((), (("x-api-key", ""),), (("x-api-key", "imagen_"),), (basic(":"),)):
        with pytest.raises(NoValidKey):
            await callers.of(call(*headers))
    request = call(("x-api-key", secret))
    ada = await callers.of(request)
    assert (ada.name, ada.priority) == ("ada", 2)
    await callers.still(ada)
    with pytest.raises(NoValidKey):
        await callers.still(LOCAL)
    await store.api_keys.revoke("ada")
    assert await callers.of(request) is ada  # as its body was let through for her
    with pytest.raises(NoValidKey):
        await callers.still(ada)
    with pytest.raises(NoValidKey):
        await callers.of(call(("x-api-key", secret), client=("192.0.2.1", 1)))


async def test_guessing_is_slowed_down_but_locks_no_one_out(store: Store) -> None:
    clock = Clock()
    callers = Callers(store, clock)
    secret = await store.api_keys.add("ada")
    assert secret is not None
    wrong = ("x-api-key", "imagen_wrong")
    for _ in range(FAILURES):
        with pytest.raises(NoValidKey):
            await callers.of(call(wrong))
    with pytest.raises(TooManyCalls):
        await callers.of(call(wrong))
    assert (await callers.of(call(("x-api-key", secret)))).name == "ada"
    with pytest.raises(NoValidKey):
        await callers.of(call(wrong, client=("192.0.2.1", 1)))
    clock.now = 60 / FAILURES
    with pytest.raises(NoValidKey):
        await callers.of(call(wrong))


async def test_a_rate_is_spent_and_fills_up_evenly(store: Store) -> None:
    clock = Clock()
    callers = Callers(store, clock)
    ada, bob = ApiKey("1", "ada", rate=6), ApiKey("2", "bob", rate=6)
    for _ in range(6):
        callers.count(ada)
    with pytest.raises(TooManyCalls):
        callers.count(ada)
    callers.count(bob)
    clock.now = 10
    callers.count(ada)
    with pytest.raises(TooManyCalls):
        callers.count(ada)
    clock.now = 10_000
    for _ in range(6):
        callers.count(ada)
    with pytest.raises(TooManyCalls):
        callers.count(ada)
