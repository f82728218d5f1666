"""Embeddings from a folder to a picture, with the real process."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from safetensors.numpy import save_file

from bot.files.metadata import read_png
from bot.request import EmbeddingUse
from playground import Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, call, write_lora
from tests.e2e.results import lines
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

WIDTHS = (48, 64)
"""Of the demo model's text encoders."""
WRITTEN = """
[embeddings.late]
name = "For adults"
path = "embeddings/late.safetensors"
nsfw = true
"""


def write_embedding(path: Path, *, seed: int, rows: int = 2) -> Path:
    noise = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = [noise.normal(size=(rows, width)).astype(np.float32) for width in WIDTHS]
    save_file(dict(zip(("clip_l", "clip_g"), drawn, strict=True)), path)
    return path


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with embeddings of every sort."""
    models = tmp_path_factory.mktemp("embedded")
    write_embedding(models / "embeddings/Fine-Hands.safetensors", seed=1)
    write_embedding(models / "embeddings/late.safetensors", seed=2)
    write_embedding(models / "loras/astray.safetensors", seed=3)
    save_file({"emb_params": np.zeros((2, 768))}, models / "embeddings/old.safetensors")
    (models / "embeddings/easy.pt").write_bytes(b"pickle")
    for seed, name in enumerate(("ember", "frost")):
        write_lora(models / f"loras/{name}.safetensors", seed=seed)
    home = Home(tmp_path_factory.mktemp("home"), models)
    (home.catalog_dir / "embeddings.toml").write_text(WRITTEN, encoding="utf-8")
    return home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(stocked: Home) -> AsyncIterator[Bot]:
    async with Playground() as playground, Bot(stocked, playground) as bot:
        yield bot
        assert playground.violations == []
        assert CANARY not in bot.log


@pytest.fixture
def eve(bot: Bot, request: pytest.FixtureRequest) -> User:
    return bot.playground.user(f"eve-{request.node.name[:20]}")


async def pixels(bot: Bot, message: Message) -> bytes:
    return await bot.playground.download(message.attachments[0])


async def test_one_is_painted_named_and_painted_again_to_the_byte(bot: Bot, eve: User) -> None:
    prompt = f"{CANARY}, (embedding:Fine-Hands:1.1)"
    original = await painted(eve, prompt=prompt, negative="fine-hands", seed=5)
    data = await pixels(bot, original)
    read = read_png(data)
    assert read.recipe is not None
    assert read.recipe.request.prompt == prompt
    assert read.recipe.request.embeddings == (
        EmbeddingUse("fine-hands", "embedding:Fine-Hands"),
        EmbeddingUse("fine-hands", "fine-hands"),
    )
    file = bot.home.models_dir / "embeddings/Fine-Hands.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert [weights.sha256 for weights in read.recipe.embeddings] == [digest]
    assert f'TI hashes: "fine-hands: {digest[:12]}"' in (read.parameters or "")

    plain = await painted(eve, prompt=f"{CANARY}, hands", seed=5)
    assert await pixels(bot, plain) != data
    await eve.react(original, "🔁")
    again = await bot.playground.wait_message(
        lambda m: m.reference == original.id and bool(m.attachments), timeout=60
    )
    assert "Identical to the original, byte for byte" in again.text
    assert await pixels(bot, again) == data


async def test_an_unknown_one_is_refused_with_near_misses(bot: Bot, eve: User) -> None:
    refused = await eve.slash("imagine", prompt="embedding:fine-hand, a fox")
    assert refused.ephemeral
    assert refused.message is not None
    said = refused.message.content
    assert said == "There's no embedding called “fine-hand”. Did you mean fine-hands?"


async def test_what_may_not_be_used_here_is_refused_with_the_reason(bot: Bot, eve: User) -> None:
    for prompt, part in (
        ("embedding:late", "only available in age-restricted channels"),
        ("embedding:old", "is made for SD 1.5 and doesn't fit demo"),
    ):
        refused = await eve.slash("imagine", prompt=prompt)
        assert refused.message is not None
        assert part in refused.message.content
    there = await eve.slash(
        "imagine", prompt=f"embedding:late {CANARY}", channel=bot.playground.nsfw_channel
    )
    await there.wait(lambda m: bool(m.attachments), timeout=60)


async def test_they_are_listed_with_what_to_type(bot: Bot, eve: User) -> None:
    listed = await eve.slash("embeddings")
    assert listed.ephemeral
    assert listed.message is not None
    cards = [line.splitlines() for line in lines(listed.message) if line.startswith("### ")]
    assert [card[0] for card in cards] == ["### Fine-Hands", "### astray"]
    assert cards[0][1:] == ["`embedding:fine-hands` · 2 tokens"]
    everything = await eve.slash("embeddings", channel=bot.playground.nsfw_channel)
    assert everything.message is not None
    assert "### For adults" in "\n".join(lines(everything.message))
    loras = await eve.slash("loras")
    assert loras.message is not None
    assert "astray" not in loras.message.text


async def test_one_among_the_loras_works_and_is_no_lora(bot: Bot, eve: User) -> None:
    result = await painted(eve, prompt=f"{CANARY} embedding:astray")
    read = read_png(await pixels(bot, result))
    assert read.recipe is not None
    assert [weights.name for weights in read.recipe.embeddings] == ["astray"]
    refused = await eve.slash("imagine", prompt="a fox <lora:astray:1>")
    assert refused.message is not None
    assert "astray is an embedding, not a LoRA" in refused.message.content


async def test_one_that_vanished_is_named_when_asked_for_again(bot: Bot, eve: User) -> None:
    before = bot.log.count("Catalog reloaded")
    file = write_embedding(bot.home.models_dir / "embeddings/brief.safetensors", seed=9)
    await until(lambda: bot.log.count("Catalog reloaded") > before)
    first = await eve.slash("imagine", prompt=f"{CANARY} embedding:brief")
    original = await first.wait(lambda m: bool(m.attachments), timeout=60)
    file.unlink()
    await eve.react(original, "🔁")
    answer = await bot.playground.wait_message(
        lambda m: m.reference == original.id and "brief" in m.text, timeout=60
    )
    assert "embedding" in answer.text


@pytest.mark.long
async def test_the_owner_is_told_everything(stocked: Home) -> None:
    code, out, _ = await call(stocked, "check")
    where = stocked.models_dir
    assert "✓ embedding fine-hands: found" in out
    assert (
        f"! catalog: {where}/loras/astray.safetensors: astray: an embedding, not a LoRA;"
        f" use it in a prompt as embedding:astray\n    → move it to {where}/embeddings\n"
    ) in out
    assert "! embedding old: made for SD 1.5, which fits no model here\n" in out
    assert "easy.pt: easy: not offered: it is a pickle file" in out
    code, out, _ = await call(stocked, "embeddings")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "2 vectors" in rows["fine-hands"]
    assert "made for SD 1.5" in rows["old"]
    code, out, _ = await call(stocked, "loras")
    assert code == 0
    assert "an embedding, not a LoRA" in out
