"""Creating, editing and deleting messages: https://docs.discord.com/developers/resources/message."""

from typing import Any

from playground import components, limits, mentions, permissions, uploads
from playground.accounts import Account
from playground.core import Core, Upload
from playground.errors import ApiError
from playground.state import Attachment, Channel, InteractionState, Message, MessageFlag

JsonObject = dict[str, Any]
CREATE_FLAGS = (
    MessageFlag.SUPPRESS_EMBEDS | MessageFlag.SUPPRESS_NOTIFICATIONS | MessageFlag.COMPONENTS_V2
)


def check(
    core: Core, where: str, body: JsonObject, files: dict[int, Upload], message: Message | None
) -> None:
    """Reject a body as Discord would; ``message`` is the one it edits, None for a new one."""
    names = tuple(_upload_name(n, file, body) for n, file in sorted(files.items()))
    core.demand(limits.check_message(body, filenames=names, before=_before(message, body)), where)


def _before(message: Message | None, body: JsonObject) -> limits.Before | None:
    if message is None:
        return None
    fields = {"content": message.content, "embeds": message.embeds}
    return limits.Before(
        filenames=tuple(a.filename for a in message.attachments if _kept(a, body)),
        legacy=tuple(key for key, value in fields.items() if value),
        v2=bool(message.flags & MessageFlag.COMPONENTS_V2),
    )


def _upload_name(number: int, file: Upload, body: JsonObject) -> str:
    for entry in body.get("attachments") or []:
        if str(entry.get("id")) == str(number) and entry.get("filename"):
            return uploads.safe_name(entry["filename"])
    return uploads.safe_name(file.filename)


def _kept(attachment: Attachment, body: JsonObject) -> bool:
    if "attachments" not in body:
        return True
    return any(str(e.get("id")) == str(attachment.id) for e in body["attachments"] or [])


def fill(core: Core, message: Message, body: JsonObject, files: dict[int, Upload]) -> None:
    """Apply ``body`` to the message; fields it omits stay unchanged."""
    message.attachments = uploads.resolve(
        core, message.channel, body, files, message.attachments, ephemeral=message.ephemeral
    )
    if "content" in body:
        message.content = str(body["content"] or "").strip()
    if body.get("flags") is not None:
        changeable = int(MessageFlag.SUPPRESS_EMBEDS)
        added = int(body["flags"]) & int(MessageFlag.COMPONENTS_V2)
        message.flags = message.flags & ~changeable | int(body["flags"]) & changeable | added
    named = {a.filename: a for a in message.attachments}

    stored = {a.url: a for a in message.attachments}

    def unfurl(url: str) -> components.Media:
        attachment = named.get(url.removeprefix(components.SCHEME)) or stored.get(url)
        answer: JsonObject = {"id": str(core.world.snowflakes.next()), "url": url, "proxy_url": url}
        if attachment is None:
            return answer, None
        answer |= {
            "url": attachment.url,
            "proxy_url": attachment.url,
            "width": attachment.width,
            "height": attachment.height,
            "content_type": attachment.content_type,
            "attachment_id": str(attachment.id),
        }
        return answer, attachment.size

    if "embeds" in body:
        message.embeds = [_embed(embed, named) for embed in body["embeds"] or []]
    if "components" in body:
        message.components = components.finish(body["components"] or [], unfurl)
    message.shown = _shown(message)


def _shown(message: Message) -> set[int]:
    """Ids of attachments shown by an embed or component, which Discord lists nowhere else."""
    urls = {
        (embed.get(part) or {}).get("url")
        for embed in message.embeds
        for part in ("image", "thumbnail")
    }
    for _, entry in components.walk(message.components):
        urls |= {item.get("url") for _, item in components.media(entry)}
    return {a.id for a in message.attachments if a.url in urls}


def _embed(embed: JsonObject, named: dict[str, Attachment]) -> JsonObject:
    done: JsonObject = {"type": "rich"}
    done |= {k: v for k, v in embed.items() if v is not None and k != "type"}
    for part in ("image", "thumbnail"):
        picture = embed.get(part)
        if not picture or not picture.get("url"):
            done.pop(part, None)
            continue
        url = str(picture["url"])
        attachment = named.get(url.removeprefix("attachment://"))
        if url.startswith("attachment://"):
            if attachment is None:
                done.pop(part, None)
                continue
            url = attachment.url
        done[part] = {"url": url, "proxy_url": url}
        if attachment is not None and attachment.width and attachment.height:
            done[part] |= {"width": attachment.width, "height": attachment.height}
    if "fields" in done:
        done["fields"] = [
            {"name": f["name"], "value": f["value"], "inline": bool(f.get("inline"))}
            for f in done["fields"]
        ]
    return done


def new(
    core: Core,
    channel: Channel,
    author: Account,
    body: JsonObject,
    files: dict[int, Upload],
    *,
    flags: int = 0,
    kind: int = 0,
    reference: Message | None = None,
    interaction: InteractionState | None = None,
    viewer: Account | None = None,
    ping: bool = True,
    identifier: int | None = None,
) -> Message:
    """Create a message from a checked body, add it to the channel and notify the bot."""
    message = Message(
        id=identifier or core.world.snowflakes.next(),
        channel=channel,
        author=author,
        flags=flags | int(body.get("flags") or 0) & int(CREATE_FLAGS),
        type=kind,
        interaction=interaction,
        viewer=viewer,
        nonce=body.get("nonce"),
    )
    if reference is not None:
        message.reference = reference.id
        message.reference_channel = reference.channel_id
    fill(core, message, body, files)
    if ping:
        set_pings(message, body, reference)
    channel.messages[message.id] = message
    core.gateway.emit_message("MESSAGE_CREATE", message)
    core.signal.notify()
    return message


def set_pings(message: Message, body: JsonObject, reference: Message | None) -> None:
    """Set whom a new message pings; edits never ping."""
    texts = [message.content]
    texts += [str(c.get("content") or "") for _, c in components.walk(message.components)]
    everyone = permissions.has(message.author, message.channel, "mention_everyone")
    replied = reference.author if reference is not None else None
    pings = mentions.pinged(
        "\n".join(texts), body.get("allowed_mentions"), message.channel, replied, everyone
    )
    message.mentions = set(pings.ids) - {message.author.id}
    message.mention_everyone = pings.everyone


def edit(core: Core, message: Message, body: JsonObject, files: dict[int, Upload]) -> None:
    """Apply a checked edit and notify the bot. The first edit completes a "thinking…" message."""
    require_something_left(message, body, files)
    was_loading = message.loading
    fill(core, message, body, files)
    message.flags &= ~int(MessageFlag.LOADING)
    if was_loading:
        set_pings(message, body, None)
    message.record_edit()
    core.gateway.emit_message("MESSAGE_UPDATE", message)
    core.signal.notify()


def require_something(body: JsonObject, files: dict[int, Upload]) -> None:
    """Raise 400/50006 for a new message that would be empty."""
    names = tuple(file.filename for file in files.values())
    if limits.is_empty(body, names, v2=limits.uses_v2(body, None)):
        raise ApiError(400, 50006, "Cannot send an empty message")


def require_something_left(message: Message, body: JsonObject, files: dict[int, Upload]) -> None:
    """Raise 400/50006 for an edit that would leave the message empty."""
    after: JsonObject = {
        "content": message.content,
        "embeds": message.embeds,
        "components": message.components,
    } | body
    kept = [a.filename for a in message.attachments if _kept(a, body)]
    names = (*kept, *(file.filename for file in files.values()))
    v2 = bool(message.flags & MessageFlag.COMPONENTS_V2) or limits.uses_v2(body, None)
    if limits.is_empty(after, names, v2=v2):
        raise ApiError(400, 50006, "Cannot send an empty message")


def delete(core: Core, message: Message, *, by_test: bool = False) -> None:
    """Delete a message and notify the bot."""
    message.deleted = True
    message.channel.messages.pop(message.id, None)
    if by_test:
        core.world.removed.add(message.id)
    data: JsonObject = {"id": str(message.id), "channel_id": str(message.channel_id)}
    if message.channel.guild is not None:
        data["guild_id"] = str(message.channel.guild.id)
    if not message.ephemeral:
        core.gateway.emit_in("MESSAGE_DELETE", data, message.channel, intent=1 << 9)
    core.signal.notify()
