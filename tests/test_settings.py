"""Every setting: what is allowed, what is refused and with which message; secrets stay secret."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.settings import DISCORD_API_URL, Settings, names_of

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary-canary"
PROXY = "http://user:canary-password@127.0.0.1:3128"


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env`, and none of our variables in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith(("IMAGEN_", "DISCORD_")):
            monkeypatch.delenv(name)


def load(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str]) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def refusal(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as error:
        load(monkeypatch, values)
    return str(error.value)


def test_the_defaults() -> None:
    settings = Settings.load()
    assert settings.token is None
    assert settings.api_url == DISCORD_API_URL == "https://discord.com/api/v10"
    assert settings.proxy is None
    assert settings.guild_id is None
    assert settings.data_dir == Path("data")
    assert settings.catalog_dir == Path("catalog")
    assert settings.models_dir == Path("models")
    assert (settings.device, settings.dtype, settings.log_level) == ("auto", "auto", "INFO")
    assert (settings.job_timeout, settings.queue_size, settings.queue_per_user) == (600, 50, 3)
    assert settings.database == Path("data/imagen.sqlite3")
    assert settings.images_dir == Path("data/images")
    assert settings.secrets() == ()


@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        (
            "DISCORD_API_URL",
            "http://127.0.0.1:8080/api/v10/",
            "api_url",
            "http://127.0.0.1:8080/api/v10",
        ),
        ("DISCORD_API_URL", "https://example.org", "api_url", "https://example.org"),
        ("DISCORD_PROXY", PROXY, "proxy", PROXY),
        ("DISCORD_GUILD_ID", "1234567890123456789", "guild_id", 1234567890123456789),
        ("IMAGEN_DATA_DIR", "/srv/my data", "data_dir", Path("/srv/my data")),
        ("IMAGEN_CATALOG_DIR", "c", "catalog_dir", Path("c")),
        ("IMAGEN_MODELS_DIR", "m", "models_dir", Path("m")),
        *[("IMAGEN_DEVICE", v, "device", v) for v in ("auto", "cuda", "mps", "cpu")],
        ("IMAGEN_DEVICES", "auto", "devices", ()),
        ("IMAGEN_DEVICES", "cuda:1", "devices", ("cuda:1",)),
        ("IMAGEN_DEVICES", " CUDA:0 , cuda:11,cpu", "devices", ("cuda:0", "cuda:11", "cpu")),
        *[("IMAGEN_ENGINE", v, "engine", v) for v in ("auto", "thread", "process")],
        *[("IMAGEN_DTYPE", v, "dtype", v) for v in ("auto", "float16", "bfloat16", "float32")],
        ("IMAGEN_JOB_TIMEOUT", "0.5", "job_timeout", 0.5),
        ("IMAGEN_JOB_TIMEOUT", "86400", "job_timeout", 86_400),
        ("IMAGEN_QUEUE_SIZE", "1", "queue_size", 1),
        ("IMAGEN_QUEUE_SIZE", "10000", "queue_size", 10_000),
        ("IMAGEN_MAX_ADAPTERS", "1", "max_adapters", 1),
        ("IMAGEN_MAX_ADAPTERS", "8", "max_adapters", 8),
        ("IMAGEN_QUEUE_PER_USER", "1", "queue_per_user", 1),
        ("IMAGEN_QUEUE_PER_USER", "1000", "queue_per_user", 1_000),
        ("IMAGEN_QUEUE_PER_GUILD", "", "queue_per_guild", None),
        ("IMAGEN_QUEUE_PER_GUILD", "20", "queue_per_guild", 20),
        ("IMAGEN_COOLDOWN", "7.5", "cooldown", 7.5),
        ("IMAGEN_DAILY_PICTURES", "100", "daily_pictures", 100),
        ("IMAGEN_ALLOWED_ROLES", "", "allowed_roles", ()),
        ("IMAGEN_ALLOWED_ROLES", "12", "allowed_roles", (12,)),
        ("IMAGEN_BLOCKED_USERS", " 12,34 , 56, ", "blocked_users", (12, 34, 56)),
        ("IMAGEN_PRIORITY_ROLES", "12, 34:2,56 : 99", "priority_roles", {12: 1, 34: 2, 56: 99}),
        *[("IMAGEN_LOG_LEVEL", v, "log_level", v) for v in ("DEBUG", "INFO", "WARNING", "ERROR")],
        ("IMAGEN_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        *[(name, "", "queue_size", 50) for name in names_of()],
    ],
)
def test_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, read: object
) -> None:
    assert getattr(load(monkeypatch, {name: value}), field) == read


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("DISCORD_API_URL", "discord.com", "https://discord.com/api/v10"),
        ("DISCORD_API_URL", "ftp://discord.com", "a URL such as"),
        ("DISCORD_API_URL", "https://discord.com/api?x=1", "a URL such as"),
        ("DISCORD_GUILD_ID", "0", "greater than or equal to 1"),
        ("DISCORD_GUILD_ID", "my server", "a valid integer"),
        ("IMAGEN_DEVICE", "gpu", "'auto', 'cuda', 'mps' or 'cpu'"),
        *[
            ("IMAGEN_DEVICES", wrong, "such as cuda:0, cuda:1")
            for wrong in ("gpu", "0,1", "cuda:0, auto", "cuda:01", "cuda:-1", "cpu " * 2)
        ],
        ("IMAGEN_DEVICES", ",".join(["cpu"] * 65), "at most 64"),
        ("IMAGEN_ENGINE", "fork", "'auto', 'thread' or 'process'"),
        ("IMAGEN_DTYPE", "fp16", "'auto', 'float16', 'bfloat16' or 'float32'"),
        ("IMAGEN_JOB_TIMEOUT", "0", "greater than 0"),
        ("IMAGEN_JOB_TIMEOUT", "-1", "greater than 0"),
        ("IMAGEN_JOB_TIMEOUT", "86401", "less than or equal to 86400"),
        ("IMAGEN_JOB_TIMEOUT", "inf", "86400"),
        ("IMAGEN_JOB_TIMEOUT", "nan", "86400"),
        ("IMAGEN_JOB_TIMEOUT", "10 min", "a valid number"),
        ("IMAGEN_MAX_ADAPTERS", "0", "greater than or equal to 1"),
        ("IMAGEN_MAX_ADAPTERS", "9", "less than or equal to 8"),
        ("IMAGEN_QUEUE_SIZE", "0", "greater than or equal to 1"),
        ("IMAGEN_QUEUE_SIZE", "10001", "less than or equal to 10000"),
        ("IMAGEN_QUEUE_SIZE", "2.5", "a valid integer"),
        ("IMAGEN_QUEUE_PER_USER", "0", "greater than or equal to 1"),
        ("IMAGEN_QUEUE_PER_GUILD", "0", "greater than or equal to 1"),
        ("IMAGEN_COOLDOWN", "-1", "greater than or equal to 0"),
        ("IMAGEN_DAILY_PICTURES", "0", "greater than or equal to 1"),
        ("IMAGEN_ALLOWED_ROLES", "artists", "IDs separated by commas"),
        ("IMAGEN_BLOCKED_USERS", "12 34", "IDs separated by commas"),
        ("IMAGEN_PRIORITY_ROLES", "12:0", "from 1 to 99"),
        ("IMAGEN_PRIORITY_ROLES", "12=2", "from 1 to 99"),
        ("IMAGEN_QUEUE_PER_USER", "1001", "less than or equal to 1000"),
        ("IMAGEN_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("IMAGEN_FETCH_FROM", "imagen.example.org", "a URL such as https://imagen.example.org"),
        ("IMAGEN_FETCH_FROM", "https://imagen.example.org/?x=1", "a URL such as"),
        ("IMAGEN_PRIVACY_URL", "example.org", "https://example.org/privacy"),
        ("IMAGEN_TERMS_URL", f"https://{'x' * 500}.org", "at most 500"),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    said = refusal(monkeypatch, {name: value})
    assert said.startswith(f"{name}: ")
    assert value in said
    assert allowed in said


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(
        monkeypatch, {"IMAGEN_DEVICE": "gpu", "IMAGEN_QUEUE_SIZE": "0", "IMAGEN_QUEUE": "5"}
    )
    lines = said.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "IMAGEN_DEVICE",
        "IMAGEN_QUEUE",
        "IMAGEN_QUEUE_SIZE",
    ]


FOREIGN = [
    "PATH_TO_SOMETHING",
    "DISCORD_OTHER_BOT",
    "DISCORD_CLIENT_ID",
    "DISCORD_API_KEY",
    "HF_HOME",
    "HF_ENDPOINT",
    "GH_TOKEN",
    "HA_TOKEN",
    "TZ",
    "PUID",
    "COMPOSE_PROJECT_NAME",
    "NVIDIA_VISIBLE_DEVICES",
    "IMAGEN_UID",
    "IMAGEN_GID",
    "IMAGEN_SERVICE_HOST",
    "IMAGEN_SERVICE_PORT",
    "IMAGEN_SERVICE_PORT_METRICS",
    "IMAGEN_PORT",
    "IMAGEN_PORT_9464_TCP_ADDR",
    "IMAGEN_METRICS_SERVICE_HOST",
]
"""Of other programs that share the environment or `.env`, our own compose file included."""


class TestUnknownNames:
    @pytest.mark.parametrize("name", ["IMAGEN_QUEUE", "IMAGEN_GPUS", "imagen_xyz"])
    def test_in_the_environment(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        said = refusal(monkeypatch, {name: "1"})
        assert name in said
        assert all(known in said for known in names_of())

    @pytest.mark.parametrize("name", FOREIGN)
    def test_names_of_others_pass_in_the_environment_and_in_the_file(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        load(monkeypatch, {name: "x"})
        monkeypatch.delenv(name)
        Path(".env").write_text(f"{name}=x\nIMAGEN_QUEUE_SIZE=7\n")
        assert Settings.load().queue_size == 7

    def test_a_second_token_beside_ours_is_of_another_bot(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load(monkeypatch, {"DISCORD_TOKEN": TOKEN, "DISCORD_TOKEN2": "y"})
        monkeypatch.delenv("DISCORD_TOKEN")
        assert "DISCORD_TOKEN2: no such setting" in refusal(monkeypatch, {"DISCORD_TOKEN2": "y"})

    @pytest.mark.parametrize("name", ["IMAGEN_QUEUE", "DISCORD_TOKE", "imagen_xyz", "IMGAEN_DEMO"])
    def test_a_typo_in_the_file_is_named_without_its_value(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        Path(".env").write_text(f"{name}={TOKEN}\n")
        said = refusal(monkeypatch, {})
        assert name in said
        assert "canary" not in said


class TestTheFile:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_it_is_read(self, encoding: str) -> None:
        """Editors on Windows start a UTF-8 file with a byte order mark."""
        Path(".env").write_text(
            f"DISCORD_TOKEN={TOKEN}\n# é\nIMAGEN_DATA_DIR=bücher\nIMAGEN_DEVICE=\n",
            encoding=encoding,
        )
        settings = Settings.load()
        assert settings.token is not None
        assert settings.token.get_secret_value() == TOKEN
        assert settings.data_dir == Path("bücher")
        assert settings.device == "auto"

    def test_the_environment_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path(".env").write_text("IMAGEN_DEVICE=cpu\nIMAGEN_QUEUE_SIZE=7\n")
        settings = load(monkeypatch, {"IMAGEN_DEVICE": "mps"})
        assert (settings.device, settings.queue_size) == ("mps", 7)

    def test_a_wrong_value_in_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path(".env").write_text("IMAGEN_DEVICE=gpu\n")
        assert refusal(monkeypatch, {}) == (
            "IMAGEN_DEVICE: must be 'auto', 'cuda', 'mps' or 'cpu', got 'gpu'"
        )

    def test_one_that_is_no_utf8_is_a_settings_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As PowerShell 5 writes it with `>`."""
        Path(".env").write_text(f"DISCORD_TOKEN={TOKEN}\n", encoding="utf-16")
        said = refusal(monkeypatch, {})
        assert ".env" in said
        assert "UTF-8" in said
        assert "canary" not in said


class TestSecrets:
    def test_they_are_in_no_text_of_the_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = load(
            monkeypatch, {"DISCORD_TOKEN": TOKEN, "DISCORD_PROXY": PROXY, "HF_TOKEN": "hf_canary"}
        )
        for text in (repr(settings), str(settings), str(settings.token), f"{settings!r:>1}"):
            assert "canary" not in text
        assert TOKEN not in repr(settings.model_dump())
        assert TOKEN not in settings.model_dump_json()
        assert settings.secrets() == (TOKEN, "hf_canary", PROXY)

    def test_a_token_with_a_line_break_is_hidden_as_discord_uses_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert load(monkeypatch, {"DISCORD_TOKEN": f" {TOKEN}\n"}).secrets() == (TOKEN,)

    @pytest.mark.parametrize("name", ["DISCORD_PROXY", "DISCORD_TOKEN"])
    def test_a_wrong_value_of_one_is_not_quoted(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        if name == "DISCORD_TOKEN":
            # Whatever is wrong, the token is not in the message.
            said = refusal(monkeypatch, {name: TOKEN, "IMAGEN_DEVICE": "gpu"})
        else:
            said = refusal(monkeypatch, {name: "socks5://user:canary@host"})
            assert said == "DISCORD_PROXY: must be a URL such as http://127.0.0.1:3128"
        assert "canary" not in said

    def test_the_error_has_no_cause_that_would_show_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        monkeypatch.setenv("IMAGEN_DEVICE", "gpu")
        with pytest.raises(SettingsError) as error:
            Settings.load()
        assert error.value.__cause__ is None
        assert error.value.__context__ is None

    def test_the_settings_cannot_be_changed(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            setattr(Settings.load(), "device", "cpu")  # noqa: B010


def test_the_variables_of_some_settings_give_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(monkeypatch, {}).variables() == {}
    given = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_PROXY": PROXY,
        "HF_TOKEN": "hf_canary",
        "DISCORD_GUILD_ID": "7",
        "IMAGEN_DATA_DIR": "some where",
        "IMAGEN_PREVIEW": "false",
        "IMAGEN_DEMO": "true",
        "IMAGEN_MODEL_CACHE": "2.5",
        "IMAGEN_ALLOWED_ROLES": "123, 456",
        "IMAGEN_BLOCKED_USERS": "7",
        "IMAGEN_PRIORITY_ROLES": "5, 6:2",
    }
    first = load(monkeypatch, given)
    told = first.variables()
    assert told.keys() == given.keys()
    assert load(monkeypatch, told) == first
