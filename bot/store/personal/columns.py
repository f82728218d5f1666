"""What each column with personal data means: for exports, and to hold PRIVACY.md to the schema."""

from collections.abc import Mapping
from typing import Final

JOBS: Final[Mapping[str, str]] = {
    "id": "ID of the request; the folder of its images has this name",
    "origin": "where it was asked: discord, api or cli",
    "kind": "imagine, reroll, vary, edit, upscale, describe, compare, or cell (an image of one)",
    "state": "pending, running, done, delivered, failed or cancelled",
    "attempt": "how often it was started",
    "crashes": "how often the bot died while it ran",
    "own_crashes": "how many of these it surely caused",
    "lost_to": "why the bot last died while it ran: died, device or hung",
    "parent_id": "ID of the request that it was made from",
    "request": "what was asked for: prompt, negative prompt, model, LoRAs, seed and so on",
    "person": "who asked: `discord:` and the user's ID",
    "community": "where: `discord:` and the server's ID; null in a direct message",
    "priority": "from the person's roles at the time",
    "passed": "how often another request went first when it was its turn",
    "due_at": "when one first did",
    "created_at": "when it was asked for",
    "started_at": "when it was last started",
    "painted_at": "when the images were generated",
    "finished_at": "when it ended",
    "delivered_at": "when the result was posted",
    "told_at": "when the person was told that it failed or was cancelled",
    "deleted_at": "when someone deleted the images",
    "error": "why it failed",
    "words": "what is in the image that it describes",
    "recipe": "everything that is needed to generate the same images again",
    "warnings": "what the person was told about the result",
    "lane": "on which of the bot's GPUs it was last started",
    "isolated": "whether it was generated in another process than the bot's",
    "deaths": "how often the bot died while it was generated in another process",
    "given_back": "how often it had to go to another GPU through no fault of its own",
    "memory_above": "bytes of the largest GPU whose memory was not enough for it",
    "boot": "a random ID of the time since the computer was started",
}
DISCORD_JOBS: Final[Mapping[str, str]] = {
    "job_id": "ID of the request",
    "user_id": "the person's ID on Discord",
    "guild_id": "the server's ID",
    "channel_id": "the channel's ID",
    "parent_channel_id": "the channel that a thread belongs to",
    "message_id": "ID of the message with the result",
    "reply_to": "ID of the message that it replies to",
    "locale": "the person's language on Discord",
    "upload_limit": "bytes that a file could have there",
    "interaction_id": "ID of the command or button press",
    "posting_at": "when a separate message was first sent",
    "age_restricted": "whether the channel was age-restricted",
    "hidden": "whether only the person sees the result",
    "spoiler": "whether the images are blurred until someone clicks",
    "image_check": "what was to happen to images that are flagged",
    "withheld": "what has happened to those that were",
    "absent": "whether the bot was no member of that server",
}
IMAGES: Final[Mapping[str, str]] = {
    "job_id": "ID of the request",
    "n": "number of the image, from 0",
    "seed": "its seed",
    "path": "its file in the bot's folder of images",
    "bytes": "size of the file",
    "width": "in pixels",
    "height": "in pixels",
    "sha256": "SHA-256 of the file",
    "pixels_sha256": "SHA-256 of the pixels",
    "pruned_at": "when the file was deleted to make room",
}
FAVOURITES: Final[Mapping[str, str]] = {
    "person": "whose favourite it is",
    "job_id": "ID of the request",
    "kept_at": "since when",
}
PRESETS: Final[Mapping[str, str]] = {
    "id": "ID of the preset",
    "person": "who saved it",
    "community": "the server that it is shared with; null: none",
    "name": "its name",
    "folded": "the name without case and accents",
    "options": "the options that it sets",
    "saved_at": "when it was saved",
}
LEVEL_SETTINGS: Final[Mapping[str, str]] = {
    "level": "whose settings: person",
    "place": "`discord:` and the user's ID",
    "community": "null for a person",
    "settings": "what is set",
    "changed_at": "when it was last changed",
}
FORMS: Final[Mapping[str, str]] = {
    "id": "ID of the form",
    "person": "who filled it in",
    "of": "which form it is",
    "entered": "what was entered",
    "made_at": "when",
}
REPORTS: Final[Mapping[str, str]] = {
    "id": "ID of the report",
    "job_id": "ID of the request that it is about",
    "reporter": "who reported it",
    "reason": "what they wrote",
    "made_at": "when",
    "decision": "deleted, blocked or dismissed; null while it is open",
    "decided_by": "who decided",
    "decided_at": "when",
    "shown": "1 if it was deleted, but its message could not be taken down",
}
ACTS: Final[Mapping[str, str]] = {
    "id": "number of the entry in the audit log",
    "at": "when it was done",
    "community": "the server that it concerns; null: the bot as a whole",
    "actor": "who did it",
    "kind": "what was done",
    "subject": "whom or what it was done to",
    "details": "what else is known about it",
    "told_at": "when the audit channel was told",
}
BLOCKS: Final[Mapping[str, str]] = {
    "kind": "person",
    "blocked": "who is blocked",
    "within": "the server that has blocked them; empty: the bot's owner",
    "actor": "who blocked them",
    "at": "when",
}
BLOCKED_WORDS: Final[Mapping[str, str]] = {"added_by": "who added it"}
TOKENS: Final[Mapping[str, str]] = {
    "job_id": "ID of the request",
    "token": "with which Discord lets the bot answer for 15 minutes",
    "good_to": "until when",
}
API_JOBS: Final[Mapping[str, str]] = {
    "job_id": "ID of the request",
    "key_id": "the caller's key",
    "repeat_key": "the caller's name for the request",
    "asked": "SHA-256 of the request",
}
API_KEYS: Final[Mapping[str, str]] = {
    "id": "ID of the key",
    "name": "its name",
    "digest": "SHA-256 of the key",
    "created_at": "when it was made",
    "revoked_at": "when it was revoked",
}
API_UPLOADS: Final[Mapping[str, str]] = {
    "key_id": "the caller's key",
    "sha256": "SHA-256 of the image",
    "bytes": "its size",
    "given_at": "when it was uploaded",
}
SENT_AGAIN: Final[Mapping[str, str]] = {
    "message_id": "a message that shows the result once more",
    "channel_id": "its channel",
    "job_id": "ID of the request",
}
HISTORY: Final[Mapping[str, str]] = {
    "prompt": "the words of the prompt, each with whose it is",
    "negative": "the same of the negative prompt",
    "tags": "model, LoRAs and kind",
}
HISTORY_TERMS: Final[Mapping[str, str]] = {
    "term": "a word of the index",
    "doc": "number of the request",
    "col": "prompt, negative or tags",
    "offset": "place in it",
}
HISTORY_ENTRIES: Final[Mapping[str, str]] = {
    "number": "number in the index",
    "job_id": "ID of the request",
}
FORGETTINGS: Final[Mapping[str, str]] = {
    "id": "ID of the request to forget",
    "person": "who asked",
    "since": "what is older stays",
    "until": "what is younger stays",
    "hand_over": "whether shared presets stay",
    "asked_at": "when",
    "token": "with which Discord lets the bot say that it is done, for 15 minutes",
    "good_to": "until when",
    "locale": "the person's language on Discord",
}
FORGOTTEN_INPUTS: Final[Mapping[str, str]] = {"sha256": "SHA-256 of an image to delete"}
FORGOTTEN_MESSAGES: Final[Mapping[str, str]] = {
    "message_id": "a message to delete",
    "channel_id": "its channel",
    "asked": "ID of the request to forget",
    "reach": "channel, answer (only with the token), or hidden (only one person sees it as well)",
    "token": "with which Discord lets the bot delete it, for 15 minutes",
    "good_to": "until when",
    "tries": "how often Discord could not be reached",
    "refused": "whether Discord does not let it be deleted",
    "due_at": "from when on it is deleted in the background",
}
QUOTA_RESETS: Final[Mapping[str, str]] = {
    "job_id": "ID of a request that no longer counts towards a limit",
    "within": "the server whose limits those are; empty: all",
}
DISABLED_ENTRIES: Final[Mapping[str, str]] = {"actor": "who switched it off"}

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "jobs": JOBS,
    "discord_jobs": DISCORD_JOBS,
    "images": IMAGES,
    "favourites": FAVOURITES,
    "presets": PRESETS,
    "level_settings": LEVEL_SETTINGS,
    "forms": FORMS,
    "reports": REPORTS,
    "acts": ACTS,
    "blocks": BLOCKS,
    "blocked_words": BLOCKED_WORDS,
    "disabled_entries": DISABLED_ENTRIES,
    "tokens": TOKENS,
    "api_jobs": API_JOBS,
    "api_keys": API_KEYS,
    "api_uploads": API_UPLOADS,
    "sent_again": SENT_AGAIN,
    "quota_resets": QUOTA_RESETS,
    "history": HISTORY,
    "history_terms": HISTORY_TERMS,
    "history_entries": HISTORY_ENTRIES,
    "forgettings": FORGETTINGS,
    "forgotten_inputs": FORGOTTEN_INPUTS,
    "forgotten_messages": FORGOTTEN_MESSAGES,
}
"""By table: every column that says something about a person. Times are in
milliseconds since 1970-01-01, UTC."""
