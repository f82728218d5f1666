"""Runs the bot as a separate process against a stand-in for Discord, with a generated catalog."""

import asyncio
import contextlib
import os
import random
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from playground import Message, Playground
from playground.openapi import OpenApi

ROOT = Path(__file__).resolve().parent.parent
MAIN = ROOT / "main.py"
CLOSE_WITHIN = 10.0
WORDS = re.findall(
    r"\w+",
    """
    amber anime arctic autumn baroque bright bronze carnival ceramic cinema clay cloud comic
    copper coral crystal cyber dark dawn deco desert detail dream dust ember enamel fabric
    fantasy film forest frost gentle ghost glass gothic grain harbor heavy ink iron ivory jade
    lantern layered light linen lunar marble mecha minimal mist mosaic neon noir ocean oil opal
    paper pastel pixel portrait print quiet retro risograph rustic sable sketch slate soft steel
    storm street sumi texture tinted vapor velvet vintage vivid watercolor wax wild winter wood
    woven zinc
    """,
)


def playground() -> Playground:
    """A stand-in that does not validate request bodies against Discord's OpenAPI description.

    Validation takes milliseconds in this process, which would be counted as the bot's.
    """
    pg = Playground()
    pg.core.openapi = OpenApi(None, "benchmark")
    return pg


def write_catalog(folder: Path, entries: int) -> list[str]:
    """Write the shipped models and `entries` LoRAs, always the same; returns the LoRA keys."""
    folder.mkdir(parents=True)
    models = (ROOT / "catalog" / "models.toml").read_text(encoding="utf-8")
    # A preset that needs a shipped LoRA, which is not in this catalog, would be reported.
    kept = [line for line in models.splitlines() if not line.startswith("fast = {adapter")]
    (folder / "models.toml").write_text("\n".join(kept), encoding="utf-8")
    draw = random.Random(20_261_122)
    keys, tables = [], []
    for number in range(entries):
        words = draw.sample(WORDS, 3)
        key = f"{words[0]}-{words[1]}-{number}"
        keys.append(key)
        tables.append(
            f"[loras.{key}]\n"
            f'name = "{" ".join(words).title()} No. {number}"\n'
            f'path = "loras/{key}.safetensors"\n'
            'models = ["demo"]\n'
            f"default_weight = {draw.randint(4, 12) / 10}\n"
            f'trigger_words = ["{words[0]} {words[1]}", "{words[2]} style"]\n'
            f'description = "Made for measuring: {words[0]}, {words[1]}, {words[2]}."\n'
        )
    (folder / "loras.toml").write_text("\n".join(tables), encoding="utf-8")
    return keys


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one bot process, which are created when needed and not shared."""

    folder: Path
    catalog: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def environment(self, **more: str) -> dict[str, str]:
        """This process's environment without the owner's settings, plus this home's and `more`."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("DISCORD_", "IMAGEN_"))
        }
        return {
            "OMP_NUM_THREADS": "1",
            **kept,
            "IMAGEN_DATA_DIR": str(self.data),
            "IMAGEN_MODELS_DIR": str(self.models),
            "IMAGEN_CATALOG_DIR": str(self.catalog),
            "IMAGEN_DEMO": "true",
            "IMAGEN_DEVICE": "cpu",
            "IMAGEN_LOG_LEVEL": "WARNING",
            **more,
        }


@contextlib.asynccontextmanager
async def bot_process(
    pg: Playground, home: Home, *command: str, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the bot (or `command`) against `pg`; it is stopped when the block ends."""
    home.folder.mkdir(parents=True, exist_ok=True)
    environment = home.environment(DISCORD_TOKEN=pg.token, DISCORD_API_URL=pg.api_url, **settings)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(command or (str(MAIN), "run")),
        env=environment,
        cwd=home.folder,  # no .env there
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        await end(process)


def has_result(message: Message) -> bool:
    """Whether `message` has the job's images; a preview is a JPEG."""
    return any(attachment.filename.endswith(".png") for attachment in message.attachments)


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask `process` to stop, and kill it if it does not within CLOSE_WITHIN seconds."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), CLOSE_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()
