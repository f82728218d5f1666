"""The language in which a caller is answered."""

from fastapi import Request

from bot.texts.language import ENGLISH, Say, Texts


def speaker_for(texts: Texts, request: Request) -> Say:
    """As `Accept-Language` asks (RFC 9110, 12.5.4): the first of its languages that we speak."""
    for locale in wanted(request.headers.get("accept-language", "")):
        if texts.speaks(locale):
            return texts.speaker(locale)
    return texts.speaker(ENGLISH)


def wanted(header: str) -> list[str]:
    """The languages in an `Accept-Language` header, the most wanted first."""
    found = []
    for place, part in enumerate(header[:1000].split(",")):
        locale, *parameters = [piece.strip() for piece in part.split(";")]
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if locale and quality > 0:
            found.append((-quality, place, locale))
    return [locale for _, _, locale in sorted(found)]
