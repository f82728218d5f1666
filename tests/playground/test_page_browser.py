"""The page in a real browser, with a bot that has one of everything."""

import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from playground import Page as PlaygroundPage
from playground import Playground
from tests.browsing import opened
from tests.playground.scene import Scene, messages, send, staged

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


ROOMS = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene() -> AsyncIterator[Scene]:
    """One bot and one server for all tests here; each test has its own channel."""
    async with staged() as scene:
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def window(scene: Scene, browser: Browser) -> AsyncIterator[Page]:
    async with opened(browser, scene.url) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def page(scene: Scene, window: Page) -> Page:
    """The page, in a channel of its own."""
    name = f"room-{next(ROOMS)}"
    scene.pg.channel = scene.pg.add_channel(name)
    await window.get_by_role("button", name=name, exact=True).click()
    await expect(window.get_by_role("heading", name=name, exact=True)).to_be_visible()
    return window


def offered(page: Page) -> Locator:
    """The list above the text field."""
    return page.locator(".composer-list")


async def test_every_kind_of_option_is_filled_in_with_the_keyboard_alone(
    scene: Scene, page: Page
) -> None:
    scene.pg.add_role("painters")
    await page.keyboard.type("/opt")
    await expect(offered(page).get_by_role("option", name="/options")).to_be_visible()
    await page.keyboard.press("Tab")
    # The first one is required and requested at once; the others by their names.
    await expect(page.locator(".pill-name")).to_have_text(["text*"])
    await expect(offered(page).get_by_role("listbox")).to_have_accessible_name(
        re.compile("text · required$")
    )
    await page.keyboard.type("abc whole: 2 real: 1,5 yes: ")
    await expect(offered(page).get_by_role("option")).to_have_text(["True", "False"])
    await page.keyboard.press("Enter")
    for name, typed, choice in (("who", "be", "@Bea"), ("place", "after", "#after-dark")):
        await page.keyboard.type(f"{name}:{typed}")
        await expect(offered(page).get_by_role("option", name=choice)).to_be_visible()
        await page.keyboard.press("Tab")
    # And one from the list of remaining ones.
    await page.keyboard.press("ArrowDown")
    await expect(offered(page).get_by_role("option", selected=True)).to_contain_text("role")
    await expect(offered(page).locator(".list-note")).to_have_text(
        ["role", "person or role", "file", "whole number"]
    )
    await page.keyboard.press("Enter")
    await page.keyboard.type("paint")
    await page.keyboard.press("Tab")
    await page.keyboard.type("pick: Tw")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    names = "['bea', 'painters', 'after-dark', None]"
    await expect(page.get_by_text(f"abc 2 1.5 True {names} 0 2")).to_be_visible()


async def test_what_the_client_refuses_is_marked_and_stays_to_be_corrected(page: Page) -> None:
    alert = page.locator(".composer").get_by_role("alert")
    for line, why in (
        ("/options ", "text: This has to be filled in."),
        ("/options text: x", "text: At least 2 characters are needed."),
        ("/options text: abc whole: 10", "whole: Enter a number from 1 to 9."),
        ("/options text: abc whole: 1.5", "whole: Enter a whole number."),
        ("/options text: abc pick: Three", "pick: Choose one of the list."),
    ):
        await send(page, line)
        await expect(alert).to_have_text(why)
        await expect(page.locator(".pill.wrong")).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await expect(alert).to_be_hidden()
    await expect(messages(page)).to_have_count(0)


async def test_a_line_can_be_taken_back_and_the_last_one_recalled(page: Page) -> None:
    await page.keyboard.type("/paint prompt: a fox lora: x")
    await expect(offered(page).get_by_role("option", name="x for a fox")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Backspace")
    await page.keyboard.press("Backspace")
    await expect(page.locator(".pill")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("a fox (edited)")).to_be_visible()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("textbox", name="prompt")).to_have_value("a fox")
    await page.keyboard.type("es")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("a foxes (edited)")).to_be_visible()


@pytest.mark.parametrize("key", ["Enter", "Tab"])
async def test_a_suggestion_for_what_was_typed_before_is_not_taken(
    scene: Scene, page: Page, key: str
) -> None:
    await page.keyboard.type("/paint prompt: a fox lora: sketch:0.")
    await expect(offered(page).get_by_role("option", name="sketch:0. for a fox")).to_be_visible()
    # The bot's answer to the last letter takes longer than the user does.
    await page.route("**/api/autocomplete", lambda _: None)
    await page.keyboard.type("8")
    await page.keyboard.press(key)
    await page.unroute_all(behavior="ignoreErrors")
    if key == "Tab":
        await page.keyboard.press("Enter")
    await expect(page.get_by_text("a fox (edited)")).to_be_visible()
    options = scene.pg.interactions()[-1].data["options"]
    assert {o["name"]: o["value"] for o in options} == {"prompt": "a fox", "lora": "sketch:0.8"}


async def test_a_picture_is_attached_sent_and_enlarged(scene: Scene, page: Page) -> None:
    await page.keyboard.type("/options text: abc file:")
    picture = {"name": "fox.png", "mimeType": "image/png", "buffer": b"\x89PNG" + b"0" * 96}
    await page.locator(".pill input[type=file]").set_input_files(picture)  # type: ignore[arg-type]
    await expect(page.get_by_role("button", name="file:")).to_contain_text("fox.png · 100 B")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("] 100 0")).to_be_visible()

    await send(page, "/paint prompt: a fox")
    await page.get_by_role("button", name="a fox").click()
    large = page.get_by_role("dialog", name="Attached files")
    await expect(large.get_by_role("img")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(large).to_have_count(0)
    [attachment] = scene.pg.messages()[-1].attachments
    assert attachment.filename == "fox.png"


async def test_buttons_and_selects(page: Page) -> None:
    await send(page, "/panel ")
    panel = messages(page).filter(has=page.get_by_role("button", name="Flip"))
    await expect(panel.get_by_role("button", name="Grey")).to_be_disabled()
    await panel.get_by_role("button", name="Again").click()
    await expect(page.get_by_text("done again")).to_be_visible()

    styles = panel.get_by_role("combobox").first
    await styles.press("ArrowDown")
    await styles.press("Enter")
    await styles.press("ArrowDown")
    await styles.press("Enter")
    await styles.press("Escape")
    await expect(page.get_by_text("Oil,Ink", exact=True)).to_be_visible()
    # Closed again, it leaves what is typed to the composer.
    await styles.press("o")
    await expect(page.locator(".composer-text")).to_have_value("o")
    await page.keyboard.press("Backspace")
    await panel.get_by_role("combobox").last.click()
    await panel.get_by_role("option", name="@Bea").click()
    await expect(page.get_by_text("bea", exact=True)).to_be_visible()

    await panel.get_by_role("button", name="Flip").click()
    await expect(page.get_by_text("flipped (edited)")).to_be_visible()
    await expect(page.get_by_role("button", name="Flip", exact=True)).to_have_count(0)


async def test_a_form_is_filled_in(page: Page) -> None:
    await send(page, "/panel ")
    await page.get_by_role("button", name="Form").click()
    form = page.get_by_role("dialog")
    await expect(form.get_by_role("textbox")).to_be_focused()
    await send(page, "")
    await expect(form).to_be_visible()
    await send(page, "a fox")
    await expect(page.get_by_text("form said a fox")).to_be_visible()
    await expect(form).to_have_count(0)


async def test_menus_of_messages_and_people(page: Page) -> None:
    await send(page, "look at this")
    message = messages(page).first
    await expect(message).to_contain_text("look at this")
    await message.click(button="right")
    await page.get_by_role("menuitem", name="Recipe").click()
    answer = messages(page).filter(has_text="Only you can see this")
    await expect(answer).to_contain_text("of ")
    await answer.get_by_role("button", name="Dismiss message").click()
    await expect(answer).to_have_count(0)

    # With the keyboard: the name opens the user's menu.
    await message.get_by_role("button", name="Ada").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(answer).to_contain_text("of ada")

    await message.get_by_role("button", name="Reply").click()
    await send(page, "I did")
    reply = messages(page).filter(has_text="I did")
    quoted = reply.get_by_role("button", name="In reply to Ada")
    await expect(quoted).to_contain_text("look at this")
    await message.hover()
    await message.get_by_role("button", name="Add reaction").first.click()
    await page.get_by_role("button", name="👍").click()
    mine = message.get_by_role("button", name="1 with 👍: Ada")
    await expect(mine).to_have_attribute("aria-pressed", "true")
    await mine.click()
    await expect(mine).to_have_count(0)


@pytest.mark.long
async def test_another_person_sees_what_that_person_may_see(page: Page) -> None:
    await send(page, "/secret ")
    await expect(page.get_by_text("hush (edited)")).to_be_visible()
    await send(page, "hello")
    await page.get_by_role("group", name="Act as").get_by_role("button", name="Bea").click()
    await expect(page.get_by_text("hello")).to_be_visible()
    await expect(page.get_by_text("hush")).to_have_count(0)
    await send(page, f"hi @Ada, <t:{int(time.time()) + 400 * 86_400}:R>")
    await expect(page.get_by_text("@Ada")).to_be_visible()
    await page.get_by_role("group", name="Act as").get_by_role("button", name="Ada").click()
    await expect(page.locator(".mentioned")).to_contain_text("@Ada")
    await expect(page.locator(".mentioned time.stamp")).to_have_text("in 1 year")


async def test_an_age_restricted_channel_has_commands_of_its_own(page: Page) -> None:
    await page.keyboard.type("/adul")
    await expect(page.get_by_text("There is no such command.")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="after-dark").click()
    await expect(page.get_by_role("heading", name="Age-restricted")).to_be_visible()
    await send(page, "/adult ")
    await expect(page.get_by_text("ok", exact=True)).to_be_visible()


async def test_a_bot_that_does_not_answer(scene: Scene, page: Page) -> None:
    scene.pg.ack_deadline = 0.05
    scene.bot.gate.clear()
    await send(page, "/slow ")
    failed = messages(page).filter(has_text="The application did not respond")
    await expect(failed).to_contain_text("Ada used /slow")
    scene.pg.ack_deadline = 3.0
    scene.pg.violations.clear()
    scene.bot.gate.set()
    await failed.get_by_role("button", name="/slow").click()
    await page.keyboard.press("Enter")
    # On a slow machine the first one is answered too.
    await expect(page.get_by_text("late", exact=True).last).to_be_visible()
    # The answer to the first came when it was no longer awaited.
    scene.pg.violations.clear()
    scene.bot.errors.clear()


async def test_the_language_is_sent_and_spoken(scene: Scene, page: Page) -> None:
    await page.get_by_role("combobox", name="Language").select_option("fr")
    await expect(page.get_by_role("button", name="Envoyer")).to_be_visible()
    assert scene.pg.user("ada").locale == "fr"
    await send(page, "/secret ")
    await expect(page.get_by_text("Visible par vous seulement").first).to_be_visible()
    assert scene.pg.interactions()[-1].user.locale == "fr"
    await page.get_by_role("combobox", name="Langue").select_option("en-US")
    await expect(page.get_by_role("button", name="Send")).to_be_visible()


async def test_light_or_dark_is_remembered(scene: Scene, page: Page) -> None:
    await page.get_by_role("button", name="Appearance: dark").click()
    later = await page.context.new_page()
    await later.goto(scene.url)
    await later.get_by_role("button", name="Appearance: light").click()
    await expect(later.locator("html")).to_have_attribute("data-theme", "dark")
    await later.close()


async def test_nothing_that_anybody_writes_is_run(scene: Scene, page: Page) -> None:
    hostile = '<img src=x onerror="document.title=1"><script>1</script> [x](javascript:alert) &amp;'
    ada = scene.pg.user("ada")
    await ada.say(scene.pg.channel, hostile)
    await ada.say(scene.pg.channel, f"||{hostile}|| **{hostile}** ```{hostile}```")
    await ada.slash("paint", prompt=hostile, channel=scene.pg.channel)
    await expect(page.get_by_text(hostile, exact=True)).to_have_count(4)
    assert await page.locator("main :is(script, img[src=x], a[href^=javascript])").count() == 0


async def test_spoilers_open_and_stay_open_through_an_edit(scene: Scene, page: Page) -> None:
    message = await scene.pg.user("ada").say(scene.pg.channel, "it was ||the fox||")
    await expect(page.get_by_text("the fox")).to_be_hidden()
    await page.get_by_role("button", name="Spoiler: show it").press("Enter")
    await expect(page.get_by_text("the fox")).to_be_visible()
    await scene.pg.user("bea").react(message, "🦊")
    await expect(page.get_by_role("button", name="🦊")).to_be_visible()
    await expect(page.get_by_text("the fox")).to_be_visible()


@pytest.mark.long
async def test_a_server_that_is_started_again_goes_on_with_the_page(browser: Browser) -> None:
    async with Playground() as first, PlaygroundPage(first, port=0) as server:
        url = server.url
        stack = contextlib.AsyncExitStack()
        page = await stack.enter_async_context(opened(browser, url))
        await expect(page.get_by_text("Imagen is starting…")).to_be_visible()
    async with stack:
        gone = page.get_by_text("The playground is not running any more.")
        await expect(gone).to_be_visible()
        port = int(url.rsplit(":", 1)[1])
        async with Playground() as second, PlaygroundPage(second, port=port) as server:
            assert server.url == url
            second.add_channel("another")
            await expect(page.get_by_role("button", name="another")).to_be_visible()
            await expect(gone).to_be_hidden()


T = "type"
MARKDOWN: list[tuple[str, Any]] = [
    ("a **b** c", ["a ", {T: "strong", "of": ["b"]}, " c"]),
    ("***x***", [{T: "strong", "of": [{T: "em", "of": ["x"]}]}]),
    ("__u__ _e_ ~~s~~", [
        {T: "underline", "of": ["u"]}, " ", {T: "em", "of": ["e"]}, " ", {T: "strike", "of": ["s"]},
    ]),
    ("snake_case_name 2 * 3 * 4", ["snake_case_name 2 * 3 * 4"]),
    (r"\*no\* \_no\_", ["*no* _no_"]),
    ("`**code**` ``a`b``", [{T: "code", "text": "**code**"}, " ", {T: "code", "text": "a`b"}]),
    ("```py\nx\n```after", [{T: "codeblock", "text": "x", "language": "py"}, "after"]),
    ("||a **b**||", [{T: "spoiler", "of": ["a ", {T: "strong", "of": ["b"]}]}]),
    ("# One\n-# small", [
        {T: "heading", "of": ["One"], "level": 1}, {T: "subtext", "of": ["small"]},
    ]),
    ("#no", ["#no"]),
    ("> a\n> b\nc", [{T: "quote", "of": ["a\nb"]}, "c"]),
    (">>> a\nb", [{T: "quote", "of": ["a\nb"]}]),
    ("[x](https://a.b/c_(d)) <https://e.f>", [
        {T: "link", "of": ["x"], "url": "https://a.b/c_(d)"}, " ",
        {T: "link", "of": ["https://e.f"], "url": "https://e.f"},
    ]),
    ("see https://a.b/c.", [
        "see ", {T: "link", "of": ["https://a.b/c"], "url": "https://a.b/c"}, ".",
    ]),
    ("[x](javascript:alert(1))", ["[x](javascript:alert(1))"]),
    ("<@12> <@&3> <#4> @everyone", [
        {T: "user", "id": "12"}, " ", {T: "role", "id": "3"}, " ", {T: "channel", "id": "4"}, " ",
        {T: "everyone", "name": "everyone"},
    ]),
    ("</model info:5> <t:9:R> <t:9>", [
        {T: "command", "name": "model info", "id": "5"}, " ",
        {T: "time", "at": 9, "style": "R"}, " ",
        {T: "time", "at": 9, "style": "f"},
    ]),
    ("a <b>&amp; <script>", ["a <b>&amp; <script>"]),
    ("**open", ["**open"]),
    ("𝕏 h ht http", ["𝕏 h ht http"]),
]  # fmt: skip


async def test_markdown_is_read_as_discord_reads_it(window: Page) -> None:
    parsed = await window.evaluate(
        """async (texts) => {
          const { parse } = await import("/js/markdown.js");
          const brief = ({ children, ...node }) => {
            if (node.type === "text") return node.text;
            return children ? { ...node, of: children.map(brief) } : node;
          };
          return texts.map((text) => parse(text).map(brief));
        }""",
        [text for text, _ in MARKDOWN],
    )
    for (text, expected), found in zip(MARKDOWN, parsed, strict=True):
        assert found == expected, text


async def test_lists_keep_their_depth(window: Page) -> None:
    html = await window.evaluate(
        """async () => {
          const { rich } = await import("/js/rich.js");
          const box = document.createElement("div");
          box.append(...rich("1. a\\n2. b\\n  - c\\n- d", {}));
          return box.innerHTML;
        }"""
    )
    assert html == '<ol start="1"><li>a</li><li>b<ul><li>c</li></ul></li></ol><ul><li>d</li></ul>'


async def test_no_text_is_too_much_for_the_markdown(window: Page) -> None:
    """Discord allows 4,096 characters at most; none of these texts may hang the page."""
    hostile = ["*", "_", "**", "||", "~~", "[", "[x](", "`", "<", "\\", "> ", "* ", "*a", "__*"]
    await window.evaluate(
        """async (texts) => {
          const { parse } = await import("/js/markdown.js");
          texts.forEach((text) => parse(text));
        }""",
        [(part * 4096)[:4096] for part in hostile],
    )


async def test_points_in_time(window: Page) -> None:
    now = 1_700_000_000
    shown = await window.evaluate(
        """async ([now, offsets]) => {
          const { relative } = await import("/js/time.js");
          return offsets.map((offset) => relative(now + offset, "en-US", now));
        }""",
        [now, [0, 5, -59, 61, 7200, -86_400 * 3, 86_400 * 400]],
    )
    assert shown == [
        "in 0 seconds",
        "in 5 seconds",
        "59 seconds ago",
        "in 1 minute",
        "in 2 hours",
        "3 days ago",
        "in 1 year",
    ]


async def test_they_tick(window: Page) -> None:
    shown = await window.evaluate(
        """async () => {
          const { rich } = await import("/js/rich.js");
          const { tick } = await import("/js/time.js");
          const now = Math.floor(Date.now() / 1000);
          const box = document.createElement("div");
          box.append(...rich(`<t:${now + 3600}:R>`, { locale: "fr" }));
          document.body.append(box);
          const clock = Date.now;
          Date.now = () => clock() + 3_000_000;
          tick();
          Date.now = clock;
          box.remove();
          return box.textContent;
        }"""
    )
    assert shown in ("dans 9 minutes", "dans 10 minutes")


async def test_every_language_of_the_page_has_every_word(window: Page) -> None:
    languages = await window.evaluate(
        'async () => (await import("/js/words.js")).languages',
    )
    assert set(languages) == {"en", "fr", "de"}
    assert languages["fr"] == languages["de"] == languages["en"]
