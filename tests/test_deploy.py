"""The deployment files match the bot: files, settings, exit codes, folders."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.api.server import DEFAULT_PORT
from bot.cli.arguments import parser
from bot.process.preparation import OPEN_FILES
from bot.settings import names_of
from bot.variables import COMPOSE
from deploy.audit import NOT_RUN, NOTHING_KNOWN, VULNERABLE, main, verdict

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "imagen.service").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, in order."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, _, rest in lines]


def all_of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def settings_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:IMAGEN|DISCORD)_[A-Z_]+", text))


class TestDockerfile:
    def test_it_copies_what_is_there_and_what_is_let_in(self) -> None:
        let_in = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert let_in[1] == "*"
        copied = [rest.split()[0] for rest in all_of("COPY")]
        for path in copied:
            assert (ROOT / path).exists()
            assert f"!{path}" in let_in
        assert {line for line in let_in if line.startswith("!")} == {f"!{p}" for p in copied}
        # All of the bot's own packages, and the weights that come with it.
        assert {"main.py", "bot", "cogs", "catalog", "demo"} <= set(copied)

    def test_it_installs_what_is_locked_and_checks_it(self) -> None:
        [install] = [rest for rest in all_of("RUN") if "pip install" in rest]
        assert install == 'pip install --require-hashes --requirement "$LOCK"'
        assert all_of("ARG") == ["LOCK=requirements.lock"]

    def test_it_runs_as_nobody_in_particular_and_stops_by_its_signal(self) -> None:
        order = [name for name, _ in instructions()]
        assert order.index("USER") > max(n for n, name in enumerate(order) if name == "RUN")
        assert all_of("USER") == ["imagen"]
        # As lists: a shell between Docker and the bot would swallow the signal.
        assert json.loads(all_of("ENTRYPOINT")[0]) == ["python", "main.py"]
        assert json.loads(all_of("CMD")[0]) == ["run"]

    def test_its_check_asks_the_bot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        options, _, command = all_of("HEALTHCHECK")[0].partition(" CMD ")
        assert "--start-period=" in options
        python, flag, program = json.loads(command)
        assert (python, flag) == ("python", "-c")
        asked: list[str] = []
        monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: asked.append(url))
        monkeypatch.setenv("IMAGEN_METRICS_PORT", "9464")
        exec(compile(program, "HEALTHCHECK", "exec"), {})
        assert asked == ["http://127.0.0.1:9464/healthz"]

    def test_it_names_a_plain_image_and_our_settings(self) -> None:
        assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", all_of("FROM")[0])
        environment = " ".join(all_of("ENV"))
        assert settings_in(environment) <= set(names_of())
        assert "IMAGEN_METRICS_PORT=9464" in environment


class TestCompose:
    @pytest.fixture
    def service(self) -> Any:
        return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["imagen"]

    def test_it_builds_this_folder(self, service: Any) -> None:
        assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]) == DEPLOY / "Dockerfile"
        assert service["restart"] == "unless-stopped"
        [device] = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}

    def test_what_the_bot_keeps_is_kept_outside(self, service: Any) -> None:
        inside = {}
        for volume in service["volumes"]:
            outside, target, *_ = volume.split(":")
            inside[target] = (DEPLOY / outside).resolve()
        assert settings_in(" ".join(service["environment"])) <= set(names_of())
        folders = {
            name: inside[path]
            for name, path in service["environment"].items()
            if name.endswith("_DIR")
        }
        assert folders == {
            "IMAGEN_DATA_DIR": ROOT / "data",
            "IMAGEN_MODELS_DIR": ROOT / "models",
            "IMAGEN_CATALOG_DIR": ROOT / "catalog",
        }

    def test_it_has_no_rights(self, service: Any) -> None:
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp:mode=1777"]

    def test_http_is_for_this_machine_alone(self, service: Any) -> None:
        [published] = service["ports"]
        address, outside, inside = published.split(":")
        assert (address, int(outside), int(inside)) == ("127.0.0.1", DEFAULT_PORT, DEFAULT_PORT)
        assert service["environment"]["IMAGEN_API_HOST"] == "0.0.0.0"
        assert all_of("EXPOSE") == [str(DEFAULT_PORT)]

    def test_it_can_serve_http_alone(self, service: Any) -> None:
        [command] = service["command"]
        assert command == "${IMAGEN_COMMAND:-run}"
        for call in ("run", "serve"):
            assert parser().parse_args([call]).call == call

    def test_its_health_is_checked_and_its_log_kept_short(self, service: Any) -> None:
        # By the image's own check, which asks on the port for metrics, over HTTP alone, too.
        assert "healthcheck" not in service
        assert len(all_of("HEALTHCHECK")) == 1
        assert service["logging"]["driver"] == "json-file"

    def test_it_has_limits(self, service: Any) -> None:
        assert service["pids_limit"] == 2048
        assert service["ulimits"] == {"nofile": OPEN_FILES}
        variables = re.findall(r"\$\{(\w+):-([\w.]+)\}", str(service))
        assert dict(variables) == {
            "IMAGEN_COMMAND": "run",
            "IMAGEN_UID": "1000",
            "IMAGEN_GID": "1000",
            "IMAGEN_RAM": "24g",
            "IMAGEN_LOCK": "requirements.lock",
        }
        # Compose reads them from the same `.env`.
        assert {*dict(variables), "IMAGEN_BROKER_PASSWORD"} == COMPOSE


class TestDistributed:
    @pytest.fixture
    def services(self) -> Any:
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
        assert services.keys() == {"imagen", "broker", "worker"}
        return services

    def test_it_is_only_there_if_it_is_asked_for(self, services: Any) -> None:
        assert "profiles" not in services["imagen"]
        for name in ("broker", "worker"):
            assert services[name]["profiles"] == ["distributed"]

    def test_nothing_of_it_can_be_reached_from_outside(self, services: Any) -> None:
        assert services["worker"]["ports"] == []
        assert "ports" not in services["broker"]
        for name in ("broker", "worker"):
            service = services[name]
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["read_only"] is True
            assert "privileged" not in service
            assert service["mem_limit"]
            assert service["pids_limit"]

    def test_the_worker_is_the_program_and_has_no_card_less(self, services: Any) -> None:
        worker, imagen = services["worker"], services["imagen"]
        assert parser().parse_args(worker["command"]).call == "worker"
        for key in ("image", "build", "user", "restart"):
            assert worker[key] == imagen[key]
        assert worker["healthcheck"] == {"disable": True}
        assert settings_in(" ".join(worker["environment"])) <= set(names_of())
        own = [volume.split(":")[0] for volume in worker["volumes"]]
        assert "../data" not in own
        # It may finish its job: see bot.distributed.worker.
        assert worker["stop_grace_period"] == "40s"

    def test_the_worker_gets_no_token_and_no_key(self, services: Any) -> None:
        assert services["worker"]["env_file"] == []
        assert services["worker"]["environment"].keys() == {
            "IMAGEN_BROKER",
            "IMAGEN_BROKER_TUNNEL",
            "IMAGEN_DATA_DIR",
            "IMAGEN_MODELS_DIR",
            "IMAGEN_CATALOG_DIR",
        }

    def test_the_worker_has_one_card_and_the_bot_can_be_told_to_have_none(
        self, services: Any
    ) -> None:
        [device] = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
        # What `.env` says of the bot's cards does not reach the worker.
        assert "IMAGEN_DEVICES" not in services["worker"]["environment"]
        page = (ROOT / "docs/scaling.md").read_text("utf-8")
        docker = page[page.index("With Docker") : page.index("## A friend")]
        assert "IMAGEN_DEVICES=none" in docker
        assert "--scale" not in docker

    @pytest.mark.parametrize("password", ["", "kept-secret"])
    def test_the_broker_has_a_password_and_keeps_nothing(
        self, services: Any, tmp_path: Path, password: str
    ) -> None:
        [shell, flag, script] = services["broker"]["command"]
        assert password == "" or password not in script
        read = tmp_path / "valkey-server"
        read.write_text('#!/bin/sh\necho "arguments: $*"\ncat\n')
        read.chmod(0o700)
        done = subprocess.run(
            [shell, flag, script.replace("$$", "$")],
            env={"PATH": f"{tmp_path}:/bin:/usr/bin", "IMAGEN_BROKER_PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        if not password:
            assert done.returncode == 78
            return
        assert done.stdout.splitlines() == [
            "arguments: -",
            f"requirepass {password}",
            'save ""',
            "appendonly no",
            "maxmemory 1gb",
        ]


class TestUnit:
    def values(self, key: str) -> list[str]:
        return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)

    def test_it_starts_the_bot_again_unless_that_is_no_use(self) -> None:
        assert self.values("Restart") == ["always"]
        assert self.values("RestartPreventExitStatus") == ["78"]
        [command] = self.values("ExecStart")
        assert command.endswith("/.venv/bin/python main.py run")
        assert command.startswith(self.values("WorkingDirectory")[0])

    def test_it_takes_no_card_away(self) -> None:
        for forbidden in ("PrivateDevices", "ProtectClock", "DevicePolicy", "DeviceAllow"):
            assert self.values(forbidden) == []
        assert self.values("MemoryDenyWriteExecute") == []

    def test_it_has_limits(self) -> None:
        assert self.values("LimitNOFILE") == [str(OPEN_FILES)]
        assert self.values("TasksMax") == ["2048"]
        assert self.values("MemoryMax") == ["90%"]

    def test_the_bot_writes_where_it_may(self) -> None:
        assert self.values("ProtectSystem") == ["strict"]
        environment = " ".join(self.values("Environment"))
        assert settings_in(environment) <= set(names_of())
        state = f"/var/lib/{self.values('StateDirectory')[0]}"
        folders = re.findall(r"_DIR=(\S+)", environment)
        assert len(folders) == 2
        assert all(folder.startswith(state) for folder in folders)

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
    def test_systemd_understands_it(self, tmp_path: Path) -> None:
        unit = tmp_path / "imagen.service"
        unit.write_text(UNIT.replace("/opt/imagen/.venv/bin/python", sys.executable))
        for command in (["verify"], ["security", "--offline=true", "--threshold=40"]):
            done = subprocess.run(
                ["systemd-analyze", *command, str(unit)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "Unknown" not in done.stderr


SOUND = {"name": "a", "version": "1", "vulns": []}
VULNERABLE_PACKAGE = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}, {"id": "CVE-2", "fix_versions": []}],
}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], NOTHING_KNOWN, ["audit: packages looked up: 1, vulnerabilities: 0"]),
        ([SOUND, SKIPPED], NOT_RUN, ["audit: NOT RUN for 1: c"]),
        ([SKIPPED], NOT_RUN, ["audit: NOT RUN: none of the packages could be looked up"]),
        ([], NOT_RUN, ["audit: NOT RUN: none of the packages could be looked up"]),
        (
            [VULNERABLE_PACKAGE, SKIPPED],
            VULNERABLE,
            ["b 2: CVE-1 (fixed in 3)", "b 2: CVE-2 (fixed in no version yet)", "NOT RUN for 1"],
        ),
    ],
)
def test_silence_is_no_good_news(
    packages: list[dict[str, Any]], code: int, said: list[str]
) -> None:
    found, lines = verdict(packages)
    assert found == code
    assert all(part in "\n".join(lines) for part in said)


def test_an_audit_that_gets_no_data_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'Traceback …' >&2\necho 'no network' >&2\nexit 1\n")
    program.chmod(0o700)
    assert main(str(program)) == NOT_RUN
    assert capsys.readouterr().out == "audit: NOT RUN: pip-audit got no data (no network)\n"
