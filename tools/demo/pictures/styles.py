"""The styles that scenes are drawn in."""

from dataclasses import replace
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tools.demo.pictures.canvas import SUPERSAMPLING, Canvas
from tools.demo.pictures.layout import Thing
from tools.demo.pictures.scenes import Colour

PAPER: Final = (248, 244, 232)
PENCIL: Final = (38, 36, 44)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `one`, the rest of `other`."""
    r, g, b = (round(share * a + (1 - share) * c) for a, c in zip(one, other, strict=True))
    return r, g, b


def _flat(canvas: Canvas) -> Image.Image:
    image = Image.new("RGB", canvas.size, canvas.sky)
    image.paste(canvas.ground_colour, mask=canvas.land())
    for thing in canvas.things:
        image.paste(canvas.colour(thing.colour), mask=canvas.mask(thing))
    canvas.decorate(image)
    return image


def _ink(canvas: Canvas) -> Image.Image:
    """Washes of colour in thick ink outlines, with shadows, on paper."""
    image = Image.new("RGB", canvas.size, mix(canvas.sky, PAPER, 0.72))
    land = canvas.land()
    image.paste(mix(canvas.ground_colour, PAPER, 0.8), mask=land)
    if canvas.scene.ground != "plain":
        shore = land.filter(ImageFilter.MaxFilter(7))
        image.paste(PENCIL, mask=ImageChops.subtract(shore, land))
    for thing in canvas.things:
        body = canvas.mask(thing)
        image.paste(PENCIL, mask=canvas.mask(thing, 3.0))
        image.paste(canvas.colour(thing.colour), mask=body)
        dark = mix(canvas.colour(thing.colour), PENCIL, 0.6)
        image.paste(dark, mask=ImageChops.multiply(_lower_right(canvas, thing), body))
    canvas.decorate(image)
    return image


def _lower_right(canvas: Canvas, thing: Thing) -> Image.Image:
    """Mask of the half of the image to the lower right of a thing's centre."""
    width, height = canvas.size
    x, y = thing.x * SUPERSAMPLING, thing.y * SUPERSAMPLING
    mask = Image.new("L", canvas.size, 0)
    corners = [(x + height, y - height), (x - width, y + width), (2 * width, 2 * height)]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask


def _sketch(canvas: Canvas) -> Image.Image:
    """Coloured pencil: outlines and strokes on paper."""
    image = Image.new("RGB", canvas.size, mix(canvas.sky, PAPER, 0.3))
    strokes = canvas.strokes()
    land = ImageChops.multiply(strokes, canvas.land())
    image.paste(mix(canvas.ground_colour, PAPER, 0.8), mask=land)
    for thing in canvas.things:
        colour = canvas.colour(thing.colour)
        body = canvas.mask(thing)
        image.paste(PAPER, mask=body)
        line = ImageChops.subtract(canvas.mask(thing, 1.5), canvas.mask(thing, -1.5))
        image.paste(colour, mask=ImageChops.multiply(strokes, body))
        image.paste(mix(colour, PENCIL, 0.6), mask=line)
    canvas.decorate(image)
    return image


def _neon(canvas: Canvas) -> Image.Image:
    """Neon tubes in front of a dark wall."""
    image = Image.new("RGB", canvas.size, mix(canvas.sky, (8, 8, 16), 0.3))
    image.paste(mix(canvas.ground_colour, (8, 8, 16), 0.45), mask=canvas.land())
    for thing in canvas.things:
        colour = mix(canvas.colour(thing.colour), (255, 255, 255), 0.85)
        tube = ImageChops.subtract(canvas.mask(thing), canvas.mask(thing, -3.4))
        glow = canvas.mask(thing).filter(ImageFilter.GaussianBlur(9)).point(lambda v: int(v * 0.55))
        image.paste(colour, mask=glow)
        image.paste(colour, mask=tube)
    canvas.decorate(image)
    return image


def _pixel(canvas: Canvas) -> Image.Image:
    """Large blocks, as on an old screen."""
    flat = _flat(canvas)
    width, height = canvas.size
    block = 8 * SUPERSAMPLING
    small = flat.resize((width // block, height // block), Image.Resampling.BOX)
    return small.resize(canvas.size, Image.Resampling.NEAREST)


def _clay(canvas: Canvas) -> Image.Image:
    """Soft, solid things, lit from the upper left, with shadows on the ground."""
    light = Image.linear_gradient("L").resize(canvas.size)
    image = Image.new("RGB", canvas.size, mix(canvas.sky, (255, 255, 255), 0.82))
    image.paste(canvas.sky, mask=light)
    image.paste(canvas.ground_colour, mask=canvas.land())
    for thing in canvas.things:
        colour = canvas.colour(thing.colour)
        body = canvas.mask(thing)
        shadow = ImageChops.offset(body, 7, 9).filter(ImageFilter.GaussianBlur(5))
        image.paste(
            mix(canvas.ground_colour, (0, 0, 0), 0.5), mask=shadow.point(lambda v: int(v * 0.7))
        )
        image.paste(mix(colour, (0, 0, 0), 0.72), mask=body)
        lit = ImageChops.offset(canvas.mask(thing, -2.5), -4, -5).filter(
            ImageFilter.GaussianBlur(4)
        )
        image.paste(colour, mask=ImageChops.multiply(lit, body))
        shine = replace(
            thing,
            shape="circle",
            radius=thing.radius * 0.2,
            x=thing.x - 0.3 * thing.radius,
            y=thing.y - 0.25 * thing.radius,
        )
        gloss = canvas.mask(shine).filter(ImageFilter.GaussianBlur(4))
        image.paste(mix(colour, (255, 255, 255), 0.35), mask=ImageChops.multiply(gloss, body))
    canvas.decorate(image)
    return image


STYLES: Final = {
    "flat": _flat,
    "ink": _ink,
    "sketch": _sketch,
    "neon": _neon,
    "pixel": _pixel,
    "clay": _clay,
}
