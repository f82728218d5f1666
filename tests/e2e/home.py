"""A home for the bot under test: its folders, catalog, weights and process."""

import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import numpy as np
from safetensors.numpy import save_file

from catalog.locate import BUILTINS_DIR
from playground import Playground
from tests.e2e.processes import Process, start
from tests.engine.factories import QUERY
from tests.engine.ip_adapter import ENCODER, WEIGHTS

ROOT = Path(__file__).resolve().parents[2]
MODELS = """
default = "demo"
[models.demo]
name = "Demo"
path = "builtin:flat"
size = [64, 64]
min_side = 64
max_side = 512
default_negative = "blurry"
steps = {min = 1, default = 4, max = 100}
fast = {steps = 2, guidance = 1.5, scheduler = "LCM"}
[models.second]
name = "Second model"
path = "builtin:ink.safetensors"
config = "builtin:flat"
vae_path = "builtin:flat"
size = [64, 64]
min_side = 64
scheduler = "Euler a"
fast = {adapter = "frost", weight = 0.5, steps = 3, guidance = 2.0, scheduler = "Euler"}
[models.bright]
name = "Nothing black"
path = "builtin:flat"
size = [128, 128]
min_side = 64
default_negative = "black"
guidance = {min = 1.0, default = 4.0, max = 30.0}
steps = {min = 1, default = 20, max = 100}
[models.adults]
name = "For adults"
path = "builtin:flat"
nsfw = true
[models.pony-xl-v6]
name = "Pony"
path = "org/pony"
enabled = false
"""
LORAS = """
[loras.ember]
name = "Ember glow"
path = "loras/ember.safetensors"
default_weight = 0.75
trigger_words = ["glowing embers"]
[loras.frost]
name = "Frost"
path = "loras/frost.safetensors"
[loras.sketch]
name = "Sketch"
path = "builtin:sketch.safetensors"
trigger_words = ["sketch"]
[loras.neon]
name = "Neon"
path = "builtin:neon.safetensors"
trigger_words = ["neon"]
[loras.old]
name = "Made for SD 1.5"
path = "loras/old.safetensors"
"""
UPSCALERS = """
[upscalers.builtin]
name = "Twice as large"
path = "builtin:upscaler.safetensors"
"""
CONTROLNETS = """
[controlnets.canny]
name = "Edges in small pictures"
path = "builtin:controlnet.safetensors"
type = "canny"
models = ["demo", "second", "bright"]
"""
STYLES = """
[styles.misty]
name = "Misty"
prompt = "{prompt} in thick fog"
negative = "{prompt}, sun"
[styles.velvet-room]
name = "Velvet room"
prompt = "{prompt}, velvet"
model = "adults"
"""
UNET = json.loads((BUILTINS_DIR / "flat/unet/config.json").read_text(encoding="utf-8"))
WIDTH: int = UNET["block_out_channels"][-1]
"""The weight's shape of the layer QUERY in the demo model's UNet."""


def write_lora(path: Path, *, seed: int, width: int = WIDTH) -> None:
    """A LoRA in kohya's format, strong enough to change the image."""
    noise = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"lora_unet_{QUERY.replace('.', '_')}"
    tensors = {
        f"{name}.lora_down.weight": noise.normal(size=(4, width)).astype(np.float32),
        f"{name}.lora_up.weight": noise.normal(size=(width, 4)).astype(np.float32),
        f"{name}.alpha": np.array(4.0, dtype=np.float32),
    }
    save_file(tensors, path)


def write_lycoris(folder: Path) -> None:
    """A LoHa and a LoKr as LyCORIS writes them: `loha.safetensors` and `lokr.safetensors`."""
    noise = np.random.default_rng(4)
    shapes = {
        "loha": {
            "hada_w1_a": (WIDTH, 4),
            "hada_w1_b": (4, WIDTH),
            "hada_w2_a": (WIDTH, 4),
            "hada_w2_b": (4, WIDTH),
        },
        "lokr": {"lokr_w1": (4, 2), "lokr_w2": (WIDTH // 4, WIDTH // 2)},
    }
    for family, parts in shapes.items():
        drawn = {part: noise.normal(size=shape) for part, shape in parts.items()}
        name = f"lora_unet_{QUERY.replace('.', '_')}"
        tensors = {f"{name}.{part}": tensor.astype(np.float32) for part, tensor in drawn.items()}
        tensors[f"{name}.alpha"] = np.array(4.0, dtype=np.float32)
        save_file(tensors, folder / f"{family}.safetensors")


def offer_reference(home: "Home") -> None:
    """Enable reference images, with the IP-Adapter in `models_dir/ip-adapter`."""
    with (home.catalog_dir / "models.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'[reference]\npath = "ip-adapter"\nweight_name = "{WEIGHTS}"\nencoder = "{ENCODER}"\n'
        )


def free_port() -> int:
    """A port that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Home:
    """One bot's folders. `environment` is the complete environment of its process."""

    def __init__(self, folder: Path, models_dir: Path, *, more_loras: int = 0) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.catalog_dir = folder / "catalog"
        self.models_dir = models_dir
        self.catalog_dir.mkdir(parents=True)
        (self.catalog_dir / "models.toml").write_text(MODELS, encoding="utf-8")
        (self.catalog_dir / "upscalers.toml").write_text(UPSCALERS, encoding="utf-8")
        (self.catalog_dir / "controlnets.toml").write_text(CONTROLNETS, encoding="utf-8")
        (self.catalog_dir / "styles.toml").write_text(STYLES, encoding="utf-8")
        many = "".join(
            f'[loras.style-{n:03}]\nname = "Style {n}"\npath = "org/style-{n}"\n'
            for n in range(more_loras)
        )
        (self.catalog_dir / "loras.toml").write_text(LORAS + many, encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "SYSTEMROOT", "COVERAGE_PROCESS_START")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "IMAGEN_DATA_DIR": str(self.data_dir),
            "IMAGEN_CATALOG_DIR": str(self.catalog_dir),
            "IMAGEN_MODELS_DIR": str(self.models_dir),
            "IMAGEN_DEVICE": "cpu",
            # Most tests take the first file of a message for the result.
            "IMAGEN_PREVIEW": "false",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def database(self) -> Path:
        return self.data_dir / "imagen.sqlite3"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the database while the bot is running."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def requests(self) -> list[dict[str, Any]]:
        """The state of every stored job, oldest first."""
        rows = self.rows("SELECT request FROM jobs ORDER BY created_at, rowid")
        return [json.loads(request) for (request,) in rows]

    def states(self) -> list[str]:
        return [state for (state,) in self.rows("SELECT state FROM jobs ORDER BY created_at")]


class Bot:
    """The real process: `python main.py run`, talking to a playground.

    cold: it imports everything itself, as outside the tests.
    """

    program = ROOT / "main.py"
    cold = False

    def __init__(self, home: Home, playground: Playground, **settings: str) -> None:
        self.home = home
        self.playground = playground
        self.log_file = home.folder / "bot.log"
        self.settings = settings
        self._process: Process | None = None

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.program), "run"]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[Self]:
        """Like `async with bot`, without waiting for it to come online."""
        await self.start(online=False)
        try:
            yield self
        finally:
            await self.__aexit__()

    async def start(self, *, online: bool = True) -> None:
        environment = {
            **self.home.environment,
            "DISCORD_TOKEN": self.playground.token,
            "DISCORD_API_URL": self.playground.api_url,
            "IMAGEN_LOG_LEVEL": "DEBUG",
            **self.settings,
        }
        with self.log_file.open("ab") as log:
            self._process = await start(
                self.command,
                cwd=self.home.folder,
                environment=environment,
                stdout=log,
                stderr=log,
                cold=self.cold,
            )
        if online:
            await self.playground.wait_online()
            await self.playground.wait_commands("imagine", "models", "loras")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the process to end; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        code = await self._process.wait()
        await self.playground.wait_offline()
        return code

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")


class ImpatientBot(Bot):
    """Shows nearly every step, so that after the first one others are still to come."""

    program = Path(__file__).with_name("impatient.py")


async def call(home: Home, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """`python main.py arguments…`: exit code, stdout, stderr."""
    with TemporaryFile() as out, TemporaryFile() as err:
        process = await start(
            [sys.executable, str(ROOT / "main.py"), *arguments],
            cwd=home.folder,
            environment={**home.environment, **settings},
            stdout=out,
            stderr=err,
        )
        code = await process.wait()
        written = []
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode())
    return code, written[0], written[1]
