// One message.

import { attachments } from "./attachments.js";
import { menuCommands } from "./commands.js";
import { components, wordsOf } from "./components.js";
import { avatar, h, icon, iconButton } from "./dom.js";
import { embed } from "./embeds.js";
import { plain } from "./markdown.js";
import { openEmoji, openMenu } from "./menu.js";
import { pressing, tools } from "./message_menu.js";
import { rich } from "./rich.js";
import { shown, written } from "./time.js";
import { t } from "./words.js";

const [EPHEMERAL, LOADING, LAYOUT] = [1 << 6, 1 << 7, 1 << 15];

/**
 * on: {reply(message), react(message, key, add), click(message, id), select(message, id, values),
 * menu(name, {message | user}), delete(message), dismiss(id), jump(id)}.
 * place: {head: with its author's name, day: the first of its day, failed: what did not work}.
 */
export function messageElement(message, world, on, { head, day, failed }) {
  const author = accountOf(message.author, world);
  const ephemeral = Boolean(message.flags & EPHEMERAL);
  const above = repliedTo(message, world, on) ?? usedBy(message, world);
  const mentioned = pings(message, world);
  const titled = head || Boolean(above) || day;
  const classes = ["message", titled && "head", ephemeral && "ephemeral", mentioned && "mentioned"].filter(Boolean).join(" ");
  return h(
    "li",
    { class: classes, tabindex: "-1", data: { id: message.id }, ...pressing(message, world, on) },
    day ? h("div", { class: "day", role: "separator" }, h("span", {}, dayOf(message.timestamp, world.locale))) : null,
    above,
    h(
      "div",
      { class: "message-row" },
      titled ? avatar(author) : time(message, world, "gutter"),
      h(
        "div",
        { class: "message-body" },
        titled ? h("header", {}, authorName(author, world, on, message), author.bot ? h("span", { class: "tag" }, t("app")) : null, time(message, world)) : null,
        message.flags & LOADING ? thinking(author) : bodyOf(message, world, on),
        reactions(message, on),
        failed ? h("p", { class: "failed", role: "alert" }, failed) : null,
        ephemeral ? h("p", { class: "only-you" }, icon("eye"), t("only_you"), " • ", h("button", { type: "button", class: "as-link", data: { key: "dismiss" }, onclick: () => on.dismiss(message.id) }, t("dismiss"))) : null,
      ),
    ),
    tools(message, world, on),
  );
}

/** Whether it is written to the present person. */
export const pings = (message, world) => message.mention_everyone || message.mentions.some((user) => user.id === world.me);

/** A message that is on its way: who used which command. */
export function pendingElement(world, command) {
  const bot = world.members.find((member) => member.bot);
  return h(
    "li",
    { class: "message head" },
    usedLine(world.self, `/${command}`),
    h("div", { class: "message-row" }, avatar(bot), h("div", { class: "message-body" }, h("header", {}, h("span", { class: "author" }, bot.name), h("span", { class: "tag" }, t("app"))), h("p", { class: "thinking" }, dots(), t("sending")))),
  );
}

/** The same, when it failed. again: puts the command back to be corrected. */
export function failedElement(world, command, text, again) {
  const element = pendingElement(world, command);
  const dismiss = h("button", { type: "button", class: "as-link", onclick: () => element.remove() }, t("dismiss"));
  const retry = h("button", { type: "button", class: "as-link", onclick: () => (element.remove(), again()) }, `/${command}`);
  element.querySelector(".thinking").replaceWith(h("p", { class: "failed", role: "alert" }, text, " • ", retry, " • ", dismiss));
  return element;
}

const accountOf = (user, world) => world.member(user.id) ?? { id: user.id, name: user.global_name ?? user.username, bot: user.bot };

function dayOf(iso, locale) {
  const date = new Date(iso);
  if (date.toDateString() === new Date().toDateString()) return t("today");
  return shown(date.getTime() / 1000, "D", locale);
}

function time(message, world, place = "") {
  const full = shown(Date.parse(message.timestamp) / 1000, "F", world.locale);
  return h("time", { class: `written ${place}`, datetime: message.timestamp, title: full }, place ? shown(Date.parse(message.timestamp) / 1000, "t", world.locale) : written(message.timestamp, world.locale));
}

function authorName(author, world, on, message) {
  const offered = menuCommands(world.commands, 2, world.locale, world.channel(message.channel_id));
  const open = (event) => {
    if (!offered.length) return;
    event.preventDefault();
    event.stopPropagation();
    const entries = offered.map((command) => ({ label: command.shown, action: () => on.menu(command.name, { user: author.id, channel: message.channel_id }) }));
    const box = event.currentTarget.getBoundingClientRect();
    openMenu([{ heading: t("apps") }, ...entries], box.left, box.bottom + 4, event.currentTarget);
  };
  // A button only where it opens something.
  if (!offered.length) return h("span", { class: "author" }, author.name);
  return h("button", { type: "button", class: "author", data: { key: "author" }, onclick: open, oncontextmenu: open }, author.name);
}

function repliedTo(message, world, on) {
  if (!message.message_reference || message.type !== 19) return null;
  const target = message.referenced_message;
  if (!target) return h("div", { class: "above" }, icon("reply"), h("em", {}, t("gone_message")));
  const author = accountOf(target.author, world);
  const text = plain(target.content || wordsOf(target.components ?? []) || target.embeds[0]?.title || target.embeds[0]?.description || "") || t("attachments");
  return h(
    "button",
    { type: "button", class: "above", data: { key: "reply" }, onclick: () => on.jump(target.id) },
    avatar(author, "tiny"),
    h("span", { class: "unseen" }, t("replied", { name: author.name })),
    h("span", { class: "author", "aria-hidden": "true" }, author.name),
    h("span", { class: "snippet" }, text),
  );
}

function usedBy(message, world) {
  return message.interaction ? usedLine(accountOf(message.interaction.user, world), `/${message.interaction.name}`) : null;
}

function usedLine(user, command) {
  return h("div", { class: "above" }, avatar(user, "tiny"), h("span", {}, t("used", { user: user.name }), " "), h("span", { class: "mention" }, command));
}

const dots = () => h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
const thinking = (author) => h("p", { class: "thinking" }, dots(), t("thinking", { name: author.name }));

function bodyOf(message, world, on) {
  const acts = {
    click: (id) => on.click(message, id),
    select: (id, values) => on.select(message, id, values),
  };
  return [
    message.content
      ? h("div", { class: "text" }, rich(message.content, world), message.edited_timestamp ? h("small", { class: "edited", title: shown(Date.parse(message.edited_timestamp) / 1000, "F", world.locale) }, " ", t("edited")) : null)
      : null,
    // Files that a layout does not show are not shown at all.
    message.flags & LAYOUT ? null : attachments(message.attachments),
    message.embeds.map((data) => embed(data, world)),
    message.components.length ? h("div", { class: "components" }, components(message.components, world, acts)) : null,
  ];
}

function reactions(message, on) {
  if (!message.reactions.length) return null;
  const buttons = message.reactions.map(({ emoji, key, count, me, names }) => {
    const label = t("reactions", { count, emoji: emoji.name, names: names.join(", ") });
    return h(
      "button",
      { type: "button", class: "reaction", "aria-pressed": String(me), "aria-label": label, title: label, data: { key: `reaction-${key}` }, onclick: () => on.react(message, key, !me) },
      h("span", { class: "emoji" }, emoji.id ? `:${emoji.name}:` : emoji.name),
      h("span", { class: "count" }, count),
    );
  });
  const more = iconButton("smile", t("add_reaction"), (event) => openEmoji(event.currentTarget, (emoji) => on.react(message, emoji, true)), { class: "reaction add", data: { key: "reaction" } });
  return h("div", { class: "reactions" }, buttons, more);
}
