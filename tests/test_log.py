"""Nothing secret is ever logged, whatever logs it."""

import asyncio
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from bot.log import OURS, JsonFormatter, RedactingFormatter, concerning, here, set_up

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary-canary"
OTHER_TOKEN = "OTg3NjU0MzIxMDk4NzY1NDMy.Hother.z_another-token-of-somebody-else-abc"
PROXY = "http://user:canary-password@127.0.0.1:3128"
INTERACTION_TOKEN = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MA-canary_x"


@pytest.fixture(autouse=True)
def _loggers_put_back() -> Iterator[None]:
    root, client = logging.getLogger(), logging.getLogger("discord.client")
    level, handlers, filters = root.level, root.handlers[:], client.filters[:]
    before = {name: logging.getLogger(name).level for name in OURS}
    yield
    root.handlers[:], client.filters[:] = handlers, filters
    root.setLevel(level)
    for name, old in before.items():
        logging.getLogger(name).setLevel(old)
    logging.captureWarnings(False)


def start(level: str, secrets: tuple[str, ...] = (), *, as_json: bool = False) -> None:
    """As in a fresh process, without pytest's own handlers."""
    logging.getLogger().handlers[:] = []
    set_up(level, secrets, as_json=as_json)


def formatted(message: str, *arguments: object, error: BaseException | None = None) -> str:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.INFO, __file__, 1, message, arguments, exc_info)
    return RedactingFormatter((TOKEN, PROXY, "")).format(record)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"token {TOKEN} sent", "token [hidden] sent"),
        (f"'Authorization': 'Bot {TOKEN}'", "'Authorization': 'Bot [hidden]'"),
        (f"another {OTHER_TOKEN}.", "another [hidden]"),
        (f"via {PROXY}!", "via [hidden]!"),
        (
            f"POST https://discord.com/api/v10/interactions/123/{INTERACTION_TOKEN}/callback 200",
            "POST https://discord.com/api/v10/interactions/123/[hidden]/callback 200",
        ),
        (
            f"PATCH /webhooks/99/{INTERACTION_TOKEN}/messages/@original?with_response=1",
            "PATCH /webhooks/99/[hidden]/messages/@original?with_response=1",
        ),
        (f"'/webhooks/99/{INTERACTION_TOKEN}'", "'/webhooks/99/[hidden]'"),
        (f'"/webhooks/99/{INTERACTION_TOKEN}?wait=1"', '"/webhooks/99/[hidden]?wait=1"'),
        (f"stored {INTERACTION_TOKEN}, later", "stored [hidden], later"),
        ("painted demo-42.png in 12.5 s", "painted demo-42.png in 12.5 s"),
        ("diffusers 0.42.1 with torch 2.13.0", "diffusers 0.42.1 with torch 2.13.0"),
    ],
)
def test_secrets_are_blotted_out_and_the_rest_is_left(text: str, left: str) -> None:
    shown = formatted(text)
    assert "canary" not in shown
    assert left in shown
    # As an argument too.
    assert left in formatted("%s", text)


@pytest.mark.parametrize(
    "secret",
    [TOKEN, OTHER_TOKEN, PROXY, INTERACTION_TOKEN, f"/webhooks/1/{INTERACTION_TOKEN}/messages"],
)
def test_no_secret_is_in_any_field_of_json(secret: str) -> None:
    try:
        raise RuntimeError(f'"{secret}"')
    except RuntimeError as error:
        exc_info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "a\n%r", (secret,), exc_info)
    written = JsonFormatter((TOKEN, PROXY, "")).format(record)
    line = json.loads(written)
    assert "\n" not in written
    assert "canary" not in written
    assert secret not in written
    assert line["message"].startswith("a\n'")
    assert "[hidden]" in line["message"]
    assert line["traceback"].startswith("Traceback")
    assert "RuntimeError" in line["traceback"]
    assert (line["level"], line["logger"]) == ("ERROR", "x")
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    assert "job" not in line


async def test_every_line_names_the_job_that_it_concerns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Logged within it, by a task started there, in a thread; and by convention."""
    for as_json in (False, True):
        start("INFO", as_json=as_json)
        log = logging.getLogger("bot.anything")

        async def later() -> None:
            log.info("in a task")  # noqa: B023

        log.info("nothing")
        with concerning("abc"):
            log.info("within")
            log.info("job %s: said already", "abc")
            log.info("job %s: of another", "xyz")
            task = asyncio.create_task(later())
            in_thread = here(lambda: log.info("in a thread"))  # noqa: B023
        await task
        await asyncio.get_running_loop().run_in_executor(None, in_thread)
        log.info("job %s: by convention", "xyz")
        lines = capsys.readouterr().err.splitlines()
        if as_json:
            said = [json.loads(line) for line in lines]
            jobs = [line.get("job") for line in said]
            assert jobs == [None, "abc", "abc", "xyz", "abc", "abc", "xyz"]
            assert said[1]["message"] == "within"
        else:
            assert [line.partition(": ")[2] for line in lines] == [
                "nothing",
                "job abc: within",
                "job abc: said already",
                "job xyz: of another",
                "job abc: in a task",
                "job abc: in a thread",
                "job xyz: by convention",
            ]


def test_tracebacks_are_no_exception() -> None:
    try:
        try:
            raise KeyError(TOKEN)
        except KeyError as inner:
            raise RuntimeError(f"/webhooks/1/{INTERACTION_TOKEN}/x via {PROXY}") from inner
    except RuntimeError as error:
        shown = formatted("failed", error=error)
    assert "RuntimeError" in shown
    assert "KeyError" in shown
    assert "canary" not in shown


def test_a_secret_is_hidden_whoever_logs_it(capsys: pytest.CaptureFixture[str]) -> None:
    start("DEBUG", (TOKEN, PROXY))
    names = ("bot.chat.client", "cogs.imagine", "discord.http", "aiohttp", "anything")
    for name in names:
        logging.getLogger(name).error("%s: %s", name, {"Authorization": f"Bot {TOKEN}"})
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logging.getLogger("discord.client").exception("Ignoring")
    written = capsys.readouterr().err
    for name in names:
        assert f"ERROR   {name}: {name}" in written
    assert "ValueError" in written
    assert "canary" not in written


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_only_our_own_packages_go_below_info(level: str) -> None:
    start(level)
    for name in ("discord.http", "discord.gateway", "aiosqlite", "asyncio", "httpx", "filelock"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
        assert logging.getLogger(name).isEnabledFor(logging.INFO) == (level in {"DEBUG", "INFO"})
        assert logging.getLogger(name).isEnabledFor(logging.ERROR)
    for name in ("bot.worker.consumer", "cogs.reroll", "catalog.live"):
        assert logging.getLogger(name).isEnabledFor(logging.getLevelName(level))
        assert logging.getLogger(name).isEnabledFor(logging.DEBUG) == (level == "DEBUG")


def test_warnings_are_logged_and_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    start("INFO", (TOKEN,))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"deprecated: {TOKEN}", stacklevel=1)
    written = capsys.readouterr().err
    assert "deprecated" in written
    assert "canary" not in written


def test_a_bot_without_voice_is_not_told_of_voice(capsys: pytest.CaptureFixture[str]) -> None:
    start("INFO")
    logging.getLogger("discord.client").warning(
        "PyNaCl is not installed, voice will NOT be supported"
    )
    logging.getLogger("discord.client").warning("something else")
    written = capsys.readouterr().err
    assert "voice" not in written
    assert "something else" in written


@pytest.mark.parametrize("as_json", [False, True])
def test_what_discord_py_logs_of_our_errors_quotes_nobody(
    capfd: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    start("DEBUG", as_json=as_json)
    try:
        try:
            raise KeyError("a prompt of someone")
        except KeyError as error:
            raise ValueError("a prompt of someone") from error
    except ValueError:
        logging.getLogger("discord.app_commands.tree").exception("Ignoring %s", "it")
        logging.getLogger("bot").exception("ours")
    [theirs, *ours] = capfd.readouterr().err.split("Ignoring it")[1].split("ours")
    assert "builtins.KeyError" in theirs
    assert "builtins.ValueError" in theirs
    assert "test_log.py" in theirs
    assert "someone" not in theirs.partition("raise ")[0]
    assert "ValueError: a prompt of someone" in ours[0]
