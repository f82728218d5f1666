"""Files: https://docs.discord.com/developers/reference#uploading-files."""

import hashlib
import mimetypes
import re
import struct
from collections.abc import Iterable
from typing import Any

from playground import limits
from playground.core import Core, Upload
from playground.errors import Problem, form_error, too_large
from playground.state import Attachment, Channel

JsonObject = dict[str, Any]


def safe_name(filename: str) -> str:
    """The name that Discord gives a file: all but letters, digits and ``_ - .`` is replaced."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", filename) or "file"


def content_type(filename: str, data: bytes) -> str:
    """The type Discord reports, guessed from the first bytes, or else from the name."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    guessed = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, JPEG or WebP."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack(">II", data[16:24])
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return struct.unpack("<HH", data[6:10])
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at < len(data):
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def check_sizes(core: Core, files: Iterable[Upload]) -> None:
    """Raise 413/40005 for a file over the limit."""
    for file in files:
        if len(file.data) > core.attachment_size_limit:
            raise too_large()


def signature(core: Core, path: str) -> str:
    """The ``hm`` of a download URL; the real ones are signed too, and expire."""
    return hashlib.sha256(f"{core.token}{path}".encode()).hexdigest()


def store(
    core: Core,
    channel_id: int,
    file: Upload,
    entry: JsonObject | None = None,
    *,
    ephemeral: bool = False,
) -> Attachment:
    """Store an upload, with its entry in the ``attachments`` array, if any."""
    entry = entry or {}
    original = entry.get("filename") or file.filename
    filename = safe_name(original)
    if entry.get("is_spoiler") and not filename.startswith("SPOILER_"):
        filename = f"SPOILER_{filename}"
    identifier = core.world.snowflakes.next()
    place = "ephemeral-attachments" if ephemeral else "attachments"
    path = f"/{place}/{channel_id}/{identifier}/{filename}"
    issued = core.world.snowflakes.next() >> 22
    query = f"ex={issued + 86_400_000:x}&is={issued:x}&hm={signature(core, path)}&"
    size = dimensions(file.data)
    stored = Attachment(
        id=identifier,
        filename=filename,
        data=file.data,
        url=f"{core.base_url}{path}?{query}",
        content_type=content_type(filename, file.data),
        description=entry.get("description") or None,
        title=entry.get("title") or (original.rsplit(".", 1)[0] if original != filename else None),
        width=size[0] if size else None,
        height=size[1] if size else None,
        ephemeral=ephemeral,
    )
    core.files[path] = stored
    return stored


def resolve(
    core: Core,
    channel: Channel,
    body: JsonObject,
    files: dict[int, Upload],
    present: list[Attachment],
    *,
    ephemeral: bool,
) -> list[Attachment]:
    """The attachments a message has after ``body``.

    Without ``attachments``, existing ones stay and the uploads are added; with it, only those it
    lists stay: https://docs.discord.com/developers/resources/message#edit-message.
    """
    check_sizes(core, files.values())
    listed = body.get("attachments")
    if "attachments" not in body:
        added = [
            store(core, channel.id, file, ephemeral=ephemeral) for _, file in sorted(files.items())
        ]
        return present + added
    kept = {attachment.id: attachment for attachment in present}
    result: list[Attachment] = []
    named: set[int] = set()
    for index, entry in enumerate(listed or []):
        identifier = int(entry["id"])
        if identifier in files:
            named.add(identifier)
            result.append(store(core, channel.id, files[identifier], entry, ephemeral=ephemeral))
        elif identifier in kept:
            attachment = kept[identifier]
            if "description" in entry:
                attachment.description = entry["description"] or None
            result.append(attachment)
        else:
            allowed = ", ".join(str(i) for i in (*files, *kept)) or "none"
            raise form_error(
                [
                    Problem(
                        ("attachments", index, "id"),
                        "ATTACHMENT_NOT_FOUND",
                        f"Attachment data cannot be found: id {identifier}; allowed: {allowed}",
                    )
                ]
            )
    # An upload that the array does not list is attached anyway.
    result += [
        store(core, channel.id, file, ephemeral=ephemeral)
        for number, file in sorted(files.items())
        if number not in named
    ]
    if len(result) > limits.FILES:
        message = f"{len(result)} attachments, the limit is {limits.FILES}"
        raise form_error([Problem(("attachments",), "BASE_TYPE_MAX_LENGTH", message)])
    return result
