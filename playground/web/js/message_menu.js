// What one can do with a message: on a right click, a long press, or by the buttons at its corner.

import { menuCommands } from "./commands.js";
import { wordsOf } from "./components.js";
import { h, iconButton } from "./dom.js";
import { openEmoji, openMenu } from "./menu.js";
import { t } from "./words.js";

const [EPHEMERAL, LOADING] = [1 << 6, 1 << 7];
const LONG = 450; // ms
const STILL = 10; // px that a finger may move and still press

/** The buttons at the corner, shown where the mouse or the focus is. on: see message.js. */
export function tools(message, world, on) {
  if (message.flags & LOADING) return null;
  const more = iconButton("more", t("more"), (event) => open(event.currentTarget, message, world, on), { "aria-haspopup": "menu", data: { key: "tool-more" } });
  const others = [
    iconButton("smile", t("add_reaction"), (event) => react(event.currentTarget, message, on), { data: { key: "tool-react" } }),
    world.channel(message.channel_id).can_send ? iconButton("reply", t("reply"), () => on.reply(message), { data: { key: "tool-reply" } }) : null,
  ];
  return h("div", { class: "tools", role: "toolbar", "aria-label": t("more") }, message.flags & EPHEMERAL ? null : others, more);
}

const react = (beside, message, on) => openEmoji(beside, (emoji) => on.react(message, emoji, true));

/** Listeners that open the menu of a message where it is right-clicked or pressed for long. */
export function pressing(message, world, on) {
  if (message.flags & LOADING) return {};
  let timer = 0;
  let from = null;
  const stop = () => clearTimeout(timer);
  return {
    oncontextmenu: (event) => {
      stop();
      if (event.target.closest("a, input, textarea")) return;
      event.preventDefault();
      // By the key of the keyboard there is no point; beside the message then.
      open(event.currentTarget, message, world, on, event.clientX ? event : null);
    },
    onpointerdown: (event) => {
      stop();
      if (event.pointerType !== "touch" || event.target.closest("a, input, textarea")) return;
      const at = event.currentTarget;
      from = event;
      timer = setTimeout(() => {
        open(at, message, world, on, from);
        // Lifting the finger is no click on what is below it.
        at.addEventListener("click", swallow, { capture: true, once: true });
        setTimeout(() => at.removeEventListener("click", swallow, { capture: true }), LONG);
      }, LONG);
    },
    onpointermove: (event) => from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > STILL && stop(),
    onpointerup: stop,
    onpointercancel: stop,
  };
}

function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** at: the element it belongs to. point: where, else at the right end of the element. */
function open(at, message, world, on, point = null) {
  const box = at.getBoundingClientRect();
  const [x, y] = point ? [point.clientX, point.clientY] : [box.right - 200, Math.max(box.top, 0) + 30];
  openMenu(message.flags & EPHEMERAL ? ofPrivate(message, on) : ofPublic(at, message, world, on), x, y, at);
}

function copies(message) {
  const text = message.content || wordsOf(message.components);
  return [text ? { label: t("copy_text"), icon: "copy", action: () => navigator.clipboard.writeText(text) } : undefined, { label: t("copy_id"), icon: "hash", action: () => navigator.clipboard.writeText(message.id) }];
}

const ofPrivate = (message, on) => [...copies(message), null, { label: t("dismiss"), icon: "close", action: () => on.dismiss(message.id) }];

function ofPublic(at, message, world, on) {
  const channel = world.channel(message.channel_id);
  const apps = menuCommands(world.commands, 3, world.locale, channel).map((command) => ({
    label: command.shown,
    icon: "spark",
    action: () => on.menu(command.name, { message: message.id, channel: message.channel_id }),
  }));
  const mine = message.author.id === world.me;
  return [
    { label: t("add_reaction"), icon: "smile", action: () => react(at, message, on) },
    channel.can_send ? { label: t("reply"), icon: "reply", action: () => on.reply(message) } : undefined,
    ...copies(message),
    ...(apps.length ? [null, { heading: t("apps") }, ...apps] : []),
    ...(mine ? [null, { label: t("delete_message"), icon: "trash", danger: true, action: () => on.delete(message) }] : []),
  ];
}
