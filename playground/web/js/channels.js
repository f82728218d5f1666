// The kinds of places: their marks, how one writes their names, and why some cannot be written in.

import { avatar, icon } from "./dom.js";
import { t } from "./words.js";

const [VOICE, GROUP, ANNOUNCEMENT, THREAD, STAGE, FORUM] = [2, 3, 5, 11, 13, 15];
const ICONS = { [VOICE]: "voice", [GROUP]: "people", [ANNOUNCEMENT]: "announcement", [THREAD]: "thread", [STAGE]: "voice", [FORUM]: "forum" };

export const isForum = (channel) => channel.type === FORUM;

const isPost = (channel, world) => Boolean(channel.parent) && isForum(world.channel(channel.parent) ?? {});

/** What stands before its name. */
export function markOf(channel, world) {
  if (channel.private && channel.type !== GROUP) return avatar(world.members.find((member) => member.bot), "small");
  if (isForum(channel) || isPost(channel, world)) return icon("forum");
  return icon(ICONS[channel.type] ?? "hash");
}

/** Its name as in "Message #general": threads and posts have no sign. */
export function nameOf(channel) {
  if (channel.type === GROUP) return channel.name;
  if (channel.private) return `@${channel.name}`;
  return channel.type === THREAD ? channel.name : `#${channel.name}`;
}

/** Words for what is above its first message. */
export const beginningOf = (channel) => t(channel.private ? "first_direct" : channel.type === THREAD ? "first_thread" : isForum(channel) ? "first_forum" : "first", { channel: nameOf(channel) });

/** Why one cannot write there; null if one can. */
export function closedBecause(channel) {
  if (channel.can_send) return null;
  if (isForum(channel)) return t("closed_forum");
  return t(channel.locked ? "closed_locked" : "closed_denied");
}
