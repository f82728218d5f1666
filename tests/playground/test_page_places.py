"""What one can do with a message of the page, and the places that are not plain channels."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from playground import furnish
from tests.browsing import opened
from tests.playground.scene import Scene, messages, send, staged

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene() -> AsyncIterator[Scene]:
    async with staged() as scene:
        furnish(scene.pg)
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(scene: Scene, browser: Browser) -> AsyncIterator[Page]:
    permissions = ["clipboard-read", "clipboard-write"]
    async with opened(browser, scene.url, permissions=permissions) as page:
        await expect(page.get_by_text("Imagen is online")).to_be_visible()
        yield page


def entry(page: Page, name: str) -> Locator:
    """A command of the menu that is open."""
    return page.get_by_role("menu").get_by_role("menuitem", name=name, exact=True)


async def go(page: Page, name: str) -> None:
    await page.get_by_role("navigation").get_by_role("button", name=re.compile(f"^{name}")).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(name)


@pytest.mark.long
async def test_a_message_is_copied_given_to_a_command_and_deleted(scene: Scene, page: Page) -> None:
    await send(page, "a **fox**")
    message = messages(page).last
    await expect(message).to_contain_text("a fox")
    number = await message.get_attribute("data-id")
    for name, copied in (("Copy text", "a **fox**"), ("Copy message ID", number)):
        await message.click(button="right")
        await entry(page, name).click()
        assert await page.evaluate("navigator.clipboard.readText()") == copied

    # With the keyboard: to the buttons at the corner, and down the menu.
    await message.focus()
    more = message.get_by_role("button", name="More")
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(entry(page, "Add reaction")).to_be_focused()
    for _ in range(4):
        await page.keyboard.press("ArrowDown")
    await expect(entry(page, "Recipe")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_have_count(0)
    await expect(more).to_be_focused()

    # A finger that stays.
    finger = {"pointerType": "touch", "clientX": 400, "clientY": 400}
    await message.dispatch_event("pointerdown", finger)
    await entry(page, "Recipe").click()
    answer = messages(page).last
    await expect(answer).to_contain_text(f"of {number}")
    await answer.click(button="right")
    await expect(page.get_by_role("menuitem")).to_have_text(
        ["Copy text", "Copy message ID", "Dismiss message"]
    )
    await entry(page, "Dismiss message").click()

    await message.click(button="right")
    await entry(page, "Delete message").click()
    await expect(page.locator(f'[data-id="{number}"]')).to_have_count(0)
    assert number not in {str(m.id) for m in scene.pg.messages()}


async def test_only_ones_own_message_can_be_deleted(scene: Scene, page: Page) -> None:
    await scene.pg.user("bea").say(scene.pg.channel, "of Bea")
    message = messages(page).last
    await expect(message).to_contain_text("of Bea")
    await message.click(button="right")
    await expect(entry(page, "Copy text")).to_be_visible()
    await expect(entry(page, "Delete message")).to_have_count(0)
    await page.keyboard.press("Escape")


async def test_what_is_said_to_me_stands_out_and_leads_to_what_it_answers(
    scene: Scene, page: Page
) -> None:
    ada, bea, channel = scene.pg.user("ada"), scene.pg.user("bea"), scene.pg.channel
    asked = await ada.say(channel, "who saw the fox?")
    await go(page, "sketches")
    await bea.say(channel, "I did", reply_to=asked)
    general = page.get_by_role("navigation").get_by_role("button", name=re.compile("^general"))
    await expect(general.get_by_label("1 for you")).to_be_visible()
    await bea.say(channel, f"really, <@{ada.id}>")
    await expect(general.get_by_label("2 for you")).to_be_visible()
    await go(page, "general")
    await expect(page.locator(".mentioned")).to_have_count(2)
    await page.get_by_role("button", name="In reply to Ada").click()
    await expect(page.locator(f'[data-id="{asked.id}"]')).to_be_focused()


async def test_each_place_says_what_it_is_and_whether_one_can_write_there(
    scene: Scene, page: Page
) -> None:
    write, closed = page.locator(".composer-text"), page.locator(".composer-closed")
    await go(page, "closed")
    await expect(page.get_by_role("navigation").get_by_label("Locked")).to_be_visible()
    await expect(closed).to_have_text("This thread is locked. Only moderators can write here.")
    await expect(write).to_be_hidden()
    await messages(page).last.click(button="right")
    await expect(entry(page, "Copy text")).to_be_visible()
    await expect(entry(page, "Reply")).to_have_count(0)
    await page.keyboard.press("Escape")

    await go(page, "showcase")
    await expect(closed).to_have_text("A forum holds posts. Open one to write in it.")
    await page.locator(".post").filter(has_text="Show what you have made.").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Your best pictures")
    await expect(closed).to_be_hidden()

    await go(page, "last winter")
    await expect(write).to_have_attribute("placeholder", "Message last winter to open it again")
    archived = page.get_by_role("navigation").get_by_label("Archived")
    await expect(archived).to_have_count(1)
    await send(page, "it is cold again")
    await expect(archived).to_have_count(0)

    await go(page, "Imagen")
    await expect(page.get_by_role("heading", name="direct messages with @Imagen")).to_be_visible()
    await expect(write).to_have_attribute("placeholder", "Message @Imagen, or / for commands")

    scene.pg.deny(scene.pg.channel, "send_messages", account=scene.pg.user("ada"))
    await go(page, "general")
    await expect(closed).to_contain_text("You do not have permission")
    scene.pg.allow(scene.pg.channel, "send_messages", account=scene.pg.user("ada"))


async def test_on_a_phone_the_places_are_in_a_drawer(page: Page) -> None:
    await page.set_viewport_size({"width": 400, "height": 700})
    drawer, button = page.get_by_role("navigation"), page.locator(".menu-button")
    await expect(drawer).to_be_hidden()
    await button.click()
    await expect(drawer.locator("[aria-current]")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(drawer).to_be_hidden()
    await expect(button).to_be_focused()
    await button.click()
    await go(page, "sketches")
    await expect(drawer).to_be_hidden()
