// Parsed Markdown, as elements.

import { copy } from "./copy.js";
import { h, iconButton } from "./dom.js";
import { inline, parse } from "./markdown.js";
import { t } from "./words.js";
import { shown } from "./time.js";

/** The text of a message or a description. world: who and what is mentioned. */
export const rich = (text, world) => show(parse(text), world);

/** A title or the name of a field: what may stand within a line. */
export const richLine = (text, world) => show(inline(text), world);

function show(nodes, world) {
  return nodes.flatMap((node) => (SHOW[node.type] ?? SHOW.text)(node, world));
}

const wrap = (tag) => (node, world) => h(tag, {}, show(node.children, world));
const pill = (text) => h("span", { class: "mention" }, text);

const SHOW = {
  text: (node) => node.text,
  strong: wrap("strong"),
  em: wrap("em"),
  underline: wrap("u"),
  strike: wrap("s"),
  code: (node) => h("button", { type: "button", class: "code", title: t("copy"), onclick: (event) => copy(event.currentTarget, node.text) }, h("code", {}, node.text)),
  codeblock: (node) => h("div", { class: "codeblock" }, h("pre", {}, h("code", {}, node.text)), iconButton("copy", t("copy"), (event) => copy(event.currentTarget, node.text))),
  quote: (node, world) => h("blockquote", {}, show(node.children, world)),
  heading: (node, world) => h(`h${node.level + 2}`, { class: `level-${node.level}` }, show(node.children, world)),
  subtext: wrap("small"),
  list: (node, world) => lists(node.entries, world),
  link: (node, world) => h("a", { href: node.url, target: "_blank", rel: "noopener noreferrer" }, show(node.children, world)),
  user: (node, world) => pill(`@${world.member(node.id)?.name ?? t("somebody")}`),
  role: (node, world) => pill(`@${world.role(node.id)?.name ?? t("some_role")}`),
  channel: (node, world) => pill(`#${world.channel(node.id)?.name ?? t("some_channel")}`),
  everyone: (node) => pill(`@${node.name}`),
  command: (node) => h("button", { type: "button", class: "mention", data: { command: node.name } }, `/${node.name}`),
  emoji: (node) => `:${node.name}:`,
  time: (node, world) =>
    h(
      "time",
      {
        class: "stamp",
        title: shown(node.at, "F", world.locale),
        data: node.style === "R" ? { relative: node.at, locale: world.locale } : {},
      },
      shown(node.at, node.style, world.locale),
    ),
  spoiler: (node, world) => spoiler("span", show(node.children, world)),
};

/** Something hidden until it is asked for, by a click or a key. */
export function spoiler(tag, children) {
  const open = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    element.replaceWith(h(tag, { class: "spoiler open" }, ...element.firstChild.childNodes));
  };
  const hidden = h(tag, { inert: true, "aria-hidden": "true" }, children);
  const element = h(tag, { class: "spoiler", role: "button", tabindex: "0", "aria-label": t("spoiler"), onclick: open, onkeydown: open }, hidden, tag === "div" ? h("span", { class: "spoiler-word", "aria-hidden": "true" }, t("spoiler_word")) : null);
  return element;
}

/** Entries of several depths, as lists in lists; another kind of mark begins another list. */
function lists(entries, world) {
  const found = [];
  let list = null;
  for (let n = 0; n < entries.length; n++) {
    const { depth, number, children } = entries[n];
    const tag = number === null ? "UL" : "OL";
    if (list?.tagName !== tag) found.push((list = h(tag, { start: number })));
    const deeper = [];
    while (entries[n + 1]?.depth > depth) deeper.push(entries[++n]);
    list.append(h("li", {}, show(children, world), deeper.length ? lists(deeper, world) : null));
  }
  return found;
}
