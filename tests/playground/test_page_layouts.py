"""Components V2 and forms in a real browser: how they look, and what one can do with them."""

import re
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
import pytest_asyncio
from discord import ui
from playwright.async_api import Browser, Locator, Page, expect

from tests.browsing import opened
from tests.playground.inline_bot import picture
from tests.playground.scene import Scene, messages, send, staged

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

PHONE = {"width": 400, "height": 860}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene() -> AsyncIterator[Scene]:
    async with staged() as scene:
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(scene: Scene, browser: Browser) -> AsyncIterator[Page]:
    permissions = ["clipboard-read", "clipboard-write"]
    async with opened(browser, scene.url, permissions=permissions) as page:
        await expect(page.get_by_text("Imagen is online")).to_be_visible()
        yield page


async def post(scene: Scene, *items: ui.Item[Any], files: int = 0) -> ui.LayoutView:
    """A message of the bot with this layout, and with pictures 0.png, 1.png … that it can show."""
    view = ui.LayoutView(timeout=None)
    for item in items:
        view.add_item(item)
    channel = scene.bot.get_channel(scene.pg.channel.id)
    assert isinstance(channel, discord.TextChannel)
    await channel.send(view=view, files=[picture(f"{n}.png") for n in range(files)])
    return view


def images(count: int, **first: Any) -> ui.MediaGallery[Any]:
    """A gallery of so many pictures; `first` is of the first one."""
    items = [discord.MediaGalleryItem(f"attachment://{n}.png") for n in range(count)]
    items[0] = discord.MediaGalleryItem("attachment://0.png", **first)
    return ui.MediaGallery(*items)


async def overflowing(page: Page) -> list[str]:
    """What is wider than the window."""
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll("main *, dialog *")]
          .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && e.checkVisibility({
            visibilityProperty: true, opacityProperty: true }) && !e.closest(".unseen, [inert]"))
          .map((e) => `${e.tagName}.${e.className}`)"""
    )
    return found


@pytest.mark.long
async def test_a_layout_shows_each_of_its_parts(scene: Scene, page: Page) -> None:
    hero = ui.Section[Any](
        "### A fox", "in the snow", accessory=ui.Thumbnail("attachment://2.png", description="tail")
    )
    pressed = ui.Section[Any]("press", accessory=ui.Button(label="Beside", disabled=True))
    small = ui.TextDisplay[Any]("-# seed `123456789` · <t:0:R>\n```/imagine a fox```")
    box = ui.Container[Any](
        images(2, description="a red fox", spoiler=True),
        hero,
        pressed,
        ui.Separator(spacing=discord.SeparatorSpacing.large),
        small,
        ui.File("attachment://3.png"),
        accent_colour=discord.Colour(0xFF8800),
    )
    link = ui.Button[Any](label="Manual", url="https://example.org/", emoji="📖")
    await post(scene, box, ui.ActionRow(link), files=5)
    message = messages(page).last
    await expect(message.locator(".container")).to_have_css("--accent", "#ff8800")
    await expect(message.get_by_role("heading", name="A fox")).to_be_visible()
    await expect(message.get_by_role("button", name="Beside")).to_be_disabled()
    await expect(message.get_by_role("link", name="Manual")).to_have_attribute(
        "href", "https://example.org/"
    )
    await expect(message.get_by_role("link", name="3.png")).to_be_visible()
    # The fifth file, which nothing shows, is not there.
    await expect(message.locator("img")).to_have_count(3)
    await expect(message.locator("small time")).to_have_text(re.compile(r"^\d+ years ago$"))

    for name, copied in (("123456789", "123456789"), ("Copy", "/imagine a fox")):
        await message.get_by_role("button", name=name).click()
        await expect(message.locator("[data-copied]")).to_have_attribute("data-copied", "Copied")
        await expect(message.locator("[data-copied]")).to_have_count(0)
        assert await page.evaluate("navigator.clipboard.readText()") == copied

    described = message.get_by_role("button", name="Image description")
    await expect(described).to_have_count(1)
    await message.get_by_role("button", name="Spoiler: show it").click()
    await expect(message.get_by_role("button", name="a red fox")).to_be_visible()
    await described.first.click()
    note = page.get_by_role("dialog", name="Image description")
    await expect(note).to_contain_text("a red fox")
    await page.keyboard.press("Escape")
    await expect(note).to_have_count(0)


# For each number of pictures, the rows from top to bottom: how many of them begin in each.
MOSAICS = {
    1: [1],
    2: [2],
    3: [2, 1],
    4: [2, 2],
    5: [2, 3],
    6: [3, 3],
    7: [1, 3, 3],
    8: [2, 3, 3],
    9: [3, 3, 3],
    10: [1, 3, 3, 3],
}


async def test_galleries_are_laid_out_as_discord_does(scene: Scene, page: Page) -> None:
    for count, rows in MOSAICS.items():
        before = await messages(page).count()
        await post(scene, images(count), files=count)
        await expect(messages(page)).to_have_count(before + 1)
        tiles = messages(page).last.locator(".tile")
        await expect(tiles).to_have_count(count)
        boxes = await tiles.evaluate_all(
            "(all) => all.map((e) => e.getBoundingClientRect()).map((b) => [b.top, b.right])"
        )
        tops = [round(top) for top, _ in boxes]
        assert [tops.count(top) for top in sorted(set(tops))] == rows, count
        assert max(right for _, right in boxes) - min(right for _, right in boxes) < 550


class Everything(ui.Modal, title="Everything"):
    """Of each kind of field one."""

    prompt: ui.Label[Any] = ui.Label(
        text="Prompt",
        description="What you want to see",
        component=ui.TextInput(style=discord.TextStyle.long, min_length=3, max_length=40),
    )
    model: ui.Label[Any] = ui.Label(
        text="Model",
        component=ui.Select(
            options=[
                discord.SelectOption(label="Flat", description="For posters", emoji="🟦"),
                discord.SelectOption(label="Ink", description="For sketches"),
            ]
        ),
    )
    size: ui.Label[Any] = ui.Label(
        text="Size",
        component=ui.RadioGroup(
            options=[
                discord.RadioGroupOption(label="Small", value="s", description="A quick one"),
                discord.RadioGroupOption(label="Large", value="l"),
            ]
        ),
    )
    extras: ui.Label[Any] = ui.Label(
        text="Extras",
        component=ui.CheckboxGroup(
            min_values=2,
            max_values=2,
            options=[discord.CheckboxGroupOption(label=x, value=x) for x in ("Hires", "Tile", "X")],
        ),
    )
    files: ui.Label[Any] = ui.Label(text="Pictures", component=ui.FileUpload(max_values=2))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        prompt, model, size, extras, files = (
            row.component for row in (self.prompt, self.model, self.size, self.extras, self.files)
        )
        names = [file.filename for file in files.values]  # type: ignore[attr-defined]
        given = [prompt.value, model.values, size.value, extras.values, names]  # type: ignore
        await interaction.response.send_message(str(given), ephemeral=True)


class People(ui.Modal, title="People"):
    note: ui.TextDisplay[Any] = ui.TextDisplay("Choose **who**.")
    who: ui.Label[Any] = ui.Label(text="Who", component=ui.UserSelect(required=False))
    role: ui.Label[Any] = ui.Label(text="Role", component=ui.RoleSelect(required=False))
    where: ui.Label[Any] = ui.Label(text="Where", component=ui.ChannelSelect())
    sure: ui.Label[Any] = ui.Label(text="I am sure", component=ui.Checkbox())

    async def on_submit(self, interaction: discord.Interaction) -> None:
        who, where, sure = (row.component for row in (self.who, self.where, self.sure))
        places = [place.name for place in where.values]  # type: ignore[attr-defined]
        given = [[u.name for u in who.values], places, sure.value]  # type: ignore[attr-defined]
        await interaction.response.send_message(str(given), ephemeral=True)


class Opens(ui.Button[Any]):
    def __init__(self, form: type[ui.Modal]) -> None:
        super().__init__(label=form.__name__, emoji="✏️")
        self._form = form

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(self._form())


async def opened_form(scene: Scene, page: Page, kind: type[ui.Modal]) -> Locator:
    before = await messages(page).count()
    await post(scene, ui.ActionRow(Opens(kind)))
    await expect(messages(page)).to_have_count(before + 1)
    await messages(page).last.get_by_role("button", name=kind.__name__).click()
    form = page.get_by_role("dialog", name=kind.__name__)
    await expect(form).to_be_visible()
    return form


async def test_a_form_says_what_is_missing_and_is_filled_in_with_the_keyboard(
    scene: Scene, page: Page
) -> None:
    form = await opened_form(scene, page, Everything)
    prompt = form.get_by_role("textbox", name="Prompt")
    await expect(prompt).to_be_focused()
    await expect(prompt).to_have_accessible_description("What you want to see")
    await page.keyboard.type("ab")
    calls = len(scene.pg.interactions())
    await form.get_by_role("button", name="Submit").click()
    empty, two = "This has to be filled in.", "Choose exactly 2."
    wrong = form.locator(".field-wrong")
    await expect(wrong).to_have_text(
        ["At least 3 characters are needed.", empty, empty, empty, empty]
    )
    await expect(prompt).to_be_focused()
    await expect(prompt).to_have_accessible_description(re.compile("At least 3 characters"))
    await page.keyboard.type("cdef")
    await expect(wrong.first).to_have_text("")

    await page.keyboard.press("Tab")
    model = form.get_by_role("combobox", name="Model")
    await expect(model).to_be_focused()
    await page.keyboard.press("i")
    await expect(form.get_by_role("option", name="Ink")).to_have_class(re.compile("active"))
    await page.keyboard.press("Enter")
    await expect(model).to_have_text("Ink")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await expect(form.get_by_role("radio", name="Large")).to_be_checked()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(wrong.nth(3)).to_have_text(two)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    files = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": b"x"} for n in range(3)]
    await form.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    await expect(form.get_by_role("button", name="Remove")).to_have_count(2)
    await expect(wrong).to_have_text([""] * 5)
    # Nothing was sent until now.
    assert len(scene.pg.interactions()) == calls
    await form.get_by_role("button", name="Submit").click()
    said = "['abcdef', ['Ink'], 'l', ['Hires', 'Tile'], ['0.png', '1.png']]"
    await expect(messages(page).last).to_contain_text(said)
    await expect(form).to_have_count(0)


async def test_a_form_asks_for_people_and_places_and_can_be_left(scene: Scene, page: Page) -> None:
    form = await opened_form(scene, page, People)
    await page.keyboard.press("Escape")
    await expect(form).to_have_count(0)
    form = await opened_form(scene, page, People)
    await expect(form.get_by_text("Choose who.")).to_be_visible()
    await form.get_by_role("combobox", name="Who").press("Enter")
    await form.get_by_role("option", name="@Bea").click()
    where = form.get_by_role("combobox", name="Where")
    await where.press("ArrowDown")
    # Esc closes the list alone.
    await where.press("Escape")
    await expect(form.get_by_role("listbox")).to_have_count(0)
    await expect(form).to_be_visible()
    await where.press("g")
    await where.press("Enter")
    await form.get_by_role("checkbox", name="I am sure").check()
    await form.get_by_role("button", name="Submit").click()
    await expect(messages(page).last).to_contain_text("[['bea'], ['general'], True]")


async def test_a_select_has_its_defaults_and_can_be_emptied_where_it_may(page: Page) -> None:
    chosen = await page.evaluate(
        """async () => {
          const { select } = await import("/js/select.js");
          const members = [{ id: "1", name: "Ada" }, { id: "2", name: "Bea" }];
          const world = { members, roles: [], channels: [] };
          const entry = { type: 5, custom_id: "who", default_values: [{ id: "2", type: "user" }] };
          return [false, true].map((required) => {
            const who = select({ ...entry, required }, world, () => {});
            const before = who.values;
            who.element.querySelector("button").click();
            who.element.querySelectorAll("[role=option]")[1].click();
            return [before, who.values];
          });
        }"""
    )
    assert chosen == [[["2"], []], [["2"], ["2"]]]


async def test_nothing_is_wider_than_a_phone(scene: Scene, page: Page) -> None:
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    long = "supercalifragilistic" * 8
    row = ui.ActionRow[Any](*(ui.Button(label=f"Button {n}", emoji="🔁") for n in range(5)))
    section = ui.Section[Any](long, accessory=ui.Thumbnail("attachment://0.png"))
    box = ui.Container[Any](images(4), section, ui.TextDisplay(f"{long}\n```{long}```"), row)
    before = await messages(page).count()
    await post(scene, box, files=4)
    await expect(messages(page)).to_have_count(before + 1)
    assert await overflowing(page) == []
    form = await opened_form(scene, page, Everything)
    assert await form.bounding_box() == {"x": 0, "y": 0, **PHONE}
    assert await overflowing(page) == []
    await page.keyboard.press("Escape")
    await send(page, "/options text: abc whole: 3 real: 1.5 yes:")
    assert await overflowing(page) == []
    for _ in range(2):
        await page.keyboard.press("Escape")
