"""`main.py playground` as users use it: the page in a browser, the real bot behind it."""

import asyncio
import io
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
import psutil
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Locator, Page, expect

from tests.browsing import Camera, opened
from tests.e2e.home import ROOT, Home, call
from tests.parameters import mostly_long
from tools.demo import judge
from tools.demo.report import VISIBLE, distance

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

PROMPT = "a red star on a blue background"
DEMOS = ["sketch", "neon", "pixel", "clay"]
PHONE = 400
PAINTING = 90_000.0
"""Milliseconds that an image may take, including the import of torch."""


def _heed_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


async def start(home: Home, *arguments: str) -> tuple[Process, str]:
    """The process, with this repository's catalog, and the address that it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "playground", "--no-open", "--port", "0"),
        *arguments,
        cwd=home.folder,
        env={
            **home.environment,
            "IMAGEN_CATALOG_DIR": str(ROOT / "catalog"),
            "IMAGEN_PREVIEW": "true",
        },
        stdout=PIPE,
        # Under nohup the signal would be ignored, and the process would inherit that.
        preexec_fn=_heed_hangups if os.name == "posix" else None,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    match = re.fullmatch(r"Playground: (http://127\.0\.0\.1:\d+)  \(Ctrl-C to stop\)\n", line)
    assert match, line
    return process, match[1]


@dataclass(frozen=True)
class Visit:
    """A first visit: the page, and when its process was started (`time.perf_counter`)."""

    page: Page
    began: float


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visit(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[Visit]:
    """The page on a first visit, with no models but the demos. One Ctrl-C ends all of it."""
    folder = tmp_path_factory.mktemp("page")
    began = time.perf_counter()
    process, url = await start(Home(folder, folder / "models"))
    try:
        async with opened(browser, url) as page:
            await expect(page.get_by_text("Imagen is online")).to_be_visible(timeout=PAINTING)
            yield Visit(page, began)
        below = psutil.Process(process.pid).children(recursive=True)
        assert below
    finally:
        process.send_signal(signal.SIGINT)
        code = await process.wait()
    assert code == 0
    assert psutil.wait_procs(below, timeout=5)[1] == []


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page


def messages(page: Page) -> Locator:
    return page.get_by_role("log").get_by_role("listitem")


async def bytes_of(message: Locator) -> bytes:
    source = await message.get_by_role("img").first.get_attribute("src")
    assert source
    async with aiohttp.ClientSession() as session, session.get(source) as response:
        response.raise_for_status()
        return await response.read()


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


async def test_the_first_picture_shows_what_was_asked_for(
    visit: Visit, camera: Camera, record_property: Callable[[str, object], None]
) -> None:
    page = visit.page
    await page.keyboard.type("/")
    offered = page.locator(".composer-list").get_by_role("option")
    for name in ("/imagine", "/models", "/loras", "/queue"):
        await expect(offered.filter(has_text=name)).to_be_visible()
    await camera.take(page, "commands")
    await page.keyboard.type(f"imagine prompt: {PROMPT} seed: 7")
    await page.keyboard.press("Enter")
    plain = messages(page).first
    await expect(plain.get_by_role("button", name="1 with 🎲: Imagen")).to_be_visible(
        timeout=PAINTING
    )
    seconds = time.perf_counter() - visit.began
    record_property("seconds from start to first picture", f"{seconds:.1f}")
    await expect(plain).to_contain_text("Demo, flat")
    image = picture(await bytes_of(plain))
    star = judge.things(image)[0]
    assert judge.colour_name(judge.ground(image)) == "blue"
    assert (judge.colour_of(image, star), judge.shape_of(star)) == ("red", "star")


@pytest.mark.long
async def test_a_picture_is_painted_and_painted_again_with_the_keyboard_alone(
    page: Page, camera: Camera
) -> None:
    offered = page.locator(".composer-list").get_by_role("option")
    await page.keyboard.type("/ima")
    await expect(offered.filter(has_text="/imagine")).to_be_visible()
    await page.keyboard.press("Tab")
    await page.keyboard.type(f"{PROMPT} seed: 7 model:")
    await expect(offered.filter(has_text="demo-ink")).to_be_visible()
    await page.keyboard.type("flat")
    await expect(offered).to_have_count(1)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("textbox", name="model")).to_have_value("Demo, flat · demo")
    await page.keyboard.type("lora:")
    await expect(offered).to_have_text([re.compile(f"^{key} · ") for key in DEMOS])
    await camera.take(page, "autocomplete")
    await page.keyboard.type("ske:0.8")
    await expect(offered).to_have_text([re.compile("^sketch:0.8 · Demo, sketch")])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="lora")).to_have_value(re.compile("^sketch:0.8 "))
    await page.keyboard.press("Enter")

    first = messages(page).nth(1)
    await expect(first).to_contain_text("Ada used /imagine")
    again = first.get_by_role("button", name="1 with 🔁: Imagen")
    await expect(again).to_be_visible(timeout=PAINTING)
    for shown in ("Demo, flat", "sketch 0.8", "seed"):
        await expect(first).to_contain_text(shown)

    # Backwards from the text field: ☺, 🎲, 🔁.
    for _ in range(8):
        await page.keyboard.press("Shift+Tab")
        if await again.evaluate("(button) => button === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    second = messages(page).nth(2)
    await expect(second).to_contain_text("Identical to the original", timeout=PAINTING)
    await expect(second.get_by_role("button", name="1 with 🎲: Imagen")).to_be_visible()
    await camera.take(page, "imagine", height=1240)
    await camera.take(page, "phone", width=PHONE)
    one, two = await bytes_of(first), await bytes_of(second)
    assert one.startswith(b"\x89PNG")
    assert one == two
    assert distance(picture(one), picture(await bytes_of(messages(page).first))) > VISIBLE
    await expect(first.get_by_role("button", name="2 with 🔁: Imagen, Ada")).to_be_visible()


async def test_a_part_of_a_result_is_repainted(page: Page, camera: Camera) -> None:
    await messages(page).first.get_by_role("button", name="More…").click()
    await messages(page).last.get_by_role("button", name="Repaint a part").click()
    question = messages(page).last
    await expect(question).to_contain_text("Which part should I repaint?")
    await expect(question.get_by_role("img").first).to_be_visible()
    await camera.take(page, "repaint")
    await question.get_by_text("One or more squares").click()
    for name in ("B2", "C2", "B3", "C3"):
        await page.get_by_role("option", name=name).click()
    await page.keyboard.press("Escape")
    form = page.get_by_role("dialog")
    await form.get_by_role("textbox").first.fill("a green circle on a blue background")
    await form.get_by_role("button", name="Submit").click()
    await expect(messages(page).last).to_contain_text("a part repainted", timeout=PAINTING)
    await expect(page.get_by_text("Which part should I repaint?")).to_have_count(0)


async def test_progress_is_shown_and_can_be_stopped(page: Page, camera: Camera) -> None:
    await page.keyboard.type(f"/imagine {PROMPT} model: demo steps: 100 count: 4 size: 192x128")
    await page.keyboard.press("Enter")
    job = messages(page).last
    await expect(job).to_contain_text(
        re.compile(r"step \d+/100 ▰", re.IGNORECASE), timeout=PAINTING
    )
    await camera.take(page, "progress")
    await job.get_by_role("button", name="Cancel").click()
    await expect(job).to_contain_text("Cancelled", timeout=PAINTING)


async def test_the_loras_are_listed_privately(page: Page, camera: Camera) -> None:
    await page.keyboard.type("/loras ")
    await page.keyboard.press("Enter")
    answer = messages(page).last
    await expect(answer).to_contain_text("Only you can see this")
    await expect(answer).to_contain_text(
        re.compile(r"LoRAs.+sketch · weight 1\s.+neon · weight 1\s", re.DOTALL)
    )
    await camera.take(page, "loras")


async def test_a_wrong_value_is_answered_privately(page: Page, camera: Camera) -> None:
    await page.keyboard.type("/imagine prompt: x model: demo steps: 5000")
    await page.keyboard.press("Enter")
    answer = messages(page).last
    await expect(answer).to_contain_text("steps: 5000 won't work. Choose a value from 1 to 100.")
    await expect(answer).to_contain_text("Only you can see this")
    await page.emulate_media(color_scheme="light")
    await camera.take(page, "light")
    await page.emulate_media(color_scheme="dark")


async def test_the_bot_answers_in_the_language_of_the_page(page: Page) -> None:
    await page.get_by_role("combobox", name="Language").select_option("fr")
    await expect(page.get_by_role("button", name="Envoyer")).to_be_visible()
    await page.keyboard.type("/imagine prompt: x model: demo steps: 5000")
    await page.keyboard.press("Enter")
    answer = messages(page).last
    await expect(answer).to_contain_text("5000 n’est pas possible ; choisis entre 1 et 100.")


@pytest.mark.long
async def test_a_bot_that_cannot_start_ends_the_playground(home: Home) -> None:
    code, out, err = await call(home, "playground", "--port", "0", IMAGEN_CATALOG_DIR="nowhere")
    assert code == 78
    assert out.startswith("Playground: http://127.0.0.1:")
    assert "nowhere" in err
    assert "The bot exited unexpectedly, with code 78." in err


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
@pytest.mark.parametrize("number", mostly_long([signal.SIGTERM, signal.SIGHUP], usual=1))
async def test_it_ends_with_its_terminal_too(home: Home, number: signal.Signals) -> None:
    process, _ = await start(home)
    assert process.stdout is not None
    assert (await process.stdout.readline()).startswith(b"The bot is online.")
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    process.send_signal(number)
    assert await process.wait() == 0
    assert psutil.wait_procs(below, timeout=5)[1] == []
