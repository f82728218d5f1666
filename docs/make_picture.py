"""Makes docs/result.png anew: `python -m docs.make_picture` (needs Chromium and an emoji font).

The real bot process paints for two people of the stand-in for Discord (`playground/`). What it
posted – embeds, files, reactions – is laid out as a dark Discord client lays it out, with our own
style sheet and the system's fonts, and photographed by a headless browser.
"""

import argparse
import asyncio
import base64
import html
import re
import shutil
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from benchmarks.bot_process import ROOT, Home, bot_process, has_result
from playground import Message, Playground

TARGET = ROOT / "docs" / "result.png"
WANTED = {
    "prompt": "a lighthouse on a cliff in heavy rain, oil painting",
    "model": "demo",
    "size": "16:9",
    "steps": 24,
    "seed": 2026,
}
WIDTH, HEIGHT, SCALE = 1040, 900, 2
MARGIN = 16
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "microsoft-edge")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    f"--window-size={WIDTH},{HEIGHT}",
    f"--force-device-scale-factor={SCALE}",
)
STYLE = """
* { box-sizing: border-box; margin: 0; }
body { background: #313338; color: #dbdee1; padding: 16px; display: flex; gap: 28px;
       font: 15px/1.35 "Noto Sans", "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
article { position: relative; padding-left: 56px; width: 488px; flex: none; }
.above { display: flex; align-items: center; gap: 5px; color: #b5bac1; font-size: 13px;
         margin-bottom: 4px; }
.above .spine { position: absolute; left: 20px; top: 9px; width: 30px; height: 14px;
         border: solid #4e5058; border-width: 2px 0 0 2px; border-radius: 7px 0 0 0; }
.above .quoted { white-space: nowrap; }
.above a { color: #00a8fc; }
.face { display: grid; place-items: center; border-radius: 50%; color: #fff; font-weight: 600; }
.big { position: absolute; left: 0; width: 40px; height: 40px; font-size: 18px; }
.small { width: 16px; height: 16px; font-size: 9px; }
.who { font-weight: 600; color: #f2f3f5; }
.app { background: #5865f2; color: #fff; border-radius: 3px; font-size: 10px; font-weight: 600;
       padding: 1px 4px; margin: 0 4px; vertical-align: 2px; }
.when { color: #949ba4; font-size: 12px; }
.mention { color: #c9cdfb; background: #3c4270; border-radius: 3px; padding: 0 2px;
           font-weight: 500; }
.picture { display: block; border-radius: 8px; margin: 4px 0; }
.embed { background: #2b2d31; border-left: 4px solid; border-radius: 4px; width: 430px;
         padding: 10px 16px 12px 12px; margin: 4px 0; font-size: 14px; }
.fields { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; margin-top: 8px; }
.wide { grid-column: 1 / -1; }
.name { font-weight: 600; color: #f2f3f5; font-size: 13px; }
code { background: #1e1f22; border-radius: 4px; padding: 1px 3px; font-size: 12.5px;
       font-family: "Noto Sans Mono", Consolas, Menlo, monospace; }
.foot { font-size: 12px; color: #b5bac1; margin-top: 8px; }
.reaction { display: inline-flex; gap: 6px; align-items: center; background: #2b2d31;
            border-radius: 8px; padding: 2px 7px; margin-right: 4px; font-size: 14px;
            border: 1px solid transparent; color: #b5bac1; font-weight: 500; }
.reaction.mine { background: #373a53; border-color: #5865f2; color: #dee0fc; }
"""
FACES = {"Imagen": "#5865f2", "ada": "#c2597a", "ben": "#3d8f7d"}


async def paint(folder: Path) -> str:
    """Let two people use the bot; returns the page that shows what it posted."""
    async with Playground() as pg:
        async with bot_process(pg, Home(folder, ROOT / "catalog")):
            await pg.wait_online(timeout=60)
            await pg.wait_commands("imagine", timeout=60)
            ada, ben = pg.user("ada"), pg.user("ben")
            # What is shown is a picture with the model in memory, not the minute of the start.
            warm = await ada.slash("imagine", prompt="a lamp", model="demo", steps=1)
            await warm.wait(has_result, timeout=120)
            call = await ada.slash("imagine", **WANTED)  # type: ignore[arg-type]
            first = await call.wait(has_result, timeout=120)
            await pg.wait_for(lambda: len(first.reactions) == 2)
            await ben.react(first, "🔁")
            again = await pg.wait_message(
                lambda message: message.reference == first.id and has_result(message)
            )
            await pg.wait_for(lambda: len(again.reactions) == 2)
        if pg.violations:
            raise SystemExit(f"The stand-in complains: {pg.violations}")
        names = {ada.id: "ada", ben.id: "ben", pg.bot.id: pg.bot.name}
        used = _above("ada", "used <a>/imagine</a>")
        replied = _above("Imagen", "Click to see attachment")
        shown = _article(first, used, names, viewer=ben.id)
        shown += _article(again, replied, names, viewer=ben.id)
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{shown}'


def _above(name: str, text: str) -> str:
    return (
        f'<div class="above"><i class="spine"></i>{_face(name, "small")}'
        f'<span class="who">{name}</span><span class="quoted">{text}</span></div>'
    )


def _article(message: Message, above: str, names: dict[int, str], viewer: int) -> str:
    when = time.strftime("%H:%M", time.localtime(message.edited_at))
    parts = [
        above,
        _face("Imagen", "big"),
        '<span class="who">Imagen</span><span class="app">APP</span>'
        f'<span class="when">Today at {when}</span>',
        f"<div>{_marked(message.content, names)}</div>" if message.content else "",
    ]
    for attachment in message.attachments:
        data = base64.b64encode(attachment.data).decode()
        parts.append(f'<img class="picture" src="data:{attachment.content_type};base64,{data}">')
    parts += [_embed(embed, names) for embed in message.embeds]
    for emoji, people in message.reactions.items():
        mine = " mine" if viewer in people else ""
        parts.append(f'<span class="reaction{mine}">{emoji} <b>{len(people)}</b></span>')
    return f"<article>{''.join(parts)}</article>"


def _face(name: str, kind: str) -> str:
    return f'<span class="face {kind}" style="background:{FACES[name]}">{name[0].upper()}</span>'


def _embed(embed: dict[str, Any], names: dict[int, str]) -> str:
    fields = "".join(
        f'<div class="{"" if field.get("inline") else "wide"}">'
        f'<div class="name">{_marked(field["name"], names)}</div>'
        f"<div>{_marked(field['value'], names)}</div></div>"
        for field in embed.get("fields", [])
    )
    return (
        f'<div class="embed" style="border-color:#{embed["color"]:06x}">'
        f"<div>{_marked(embed['description'], names)}</div>"
        f'<div class="fields">{fields}</div>'
        f'<div class="foot">{_marked(embed["footer"]["text"], names)}</div></div>'
    )


def _marked(text: str, names: dict[int, str]) -> str:
    """The little of Discord's Markdown that the bot's results use."""
    text = html.escape(re.sub(r"\\([^\w\s])", r"\1", text), quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(
        r"&lt;@(\d+)&gt;", lambda m: f'<span class="mention">@{names[int(m[1])]}</span>', text
    )
    return text.replace("\n", "<br>")


def photograph(page: str, folder: Path, browser: str) -> Image.Image:
    """The page without the empty space below it."""
    source, target = folder / "page.html", folder / "page.png"
    source.write_text(page, encoding="utf-8")
    subprocess.run(  # noqa: S603
        [
            browser,
            *FLAGS,
            f"--user-data-dir={folder / 'browser'}",
            f"--screenshot={target}",
            source.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    image = Image.open(BytesIO(target.read_bytes())).convert("RGB")
    empty = Image.new("RGB", image.size, image.getpixel((0, 0)))
    box = ImageChops.difference(image, empty).getbbox()
    if box is None:
        raise SystemExit("The browser shows nothing.")
    return image.crop((0, 0, image.width, box[3] + MARGIN * SCALE))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default=next(filter(shutil.which, BROWSERS), BROWSERS[0]))
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagen-picture-") as folder:
        page = asyncio.run(paint(Path(folder) / "home"))
        image = photograph(page, Path(folder), options.browser)
    # 160 colours are enough for a flat client, and keep the repository small.
    image.quantize(160, dither=Image.Dither.NONE).save(options.out, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
