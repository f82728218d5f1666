// What opens at a point: context menus, and the little board of emoji.

import { h, icon } from "./dom.js";
import { t } from "./words.js";

export const EMOJI = ["🔁", "🎲", "👍", "👎", "❤️", "🔥", "🎉", "😂", "😍", "🤔", "😮", "😢", "🙏", "👀", "✨", "⭐", "🎨", "🖼️", "🌈", "🌙", "🦊", "🐱", "✅", "❌"];

let close = () => {};

/** Put an element beside a point of the window; it goes at a click elsewhere or Esc. */
function open(element, x, y, back) {
  close();
  document.querySelector("main").append(element);
  const { width, height } = element.getBoundingClientRect();
  element.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`;
  element.style.top = `${Math.max(8, Math.min(y, innerHeight - height - 8))}px`;
  const outside = (event) => !element.contains(event.target) && close(false);
  const keys = (event) => {
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      close(true);
    }
  };
  close = (focus) => {
    element.remove();
    document.removeEventListener("pointerdown", outside, true);
    element.removeEventListener("keydown", keys);
    close = () => {};
    if (focus) back?.focus();
  };
  document.addEventListener("pointerdown", outside, true);
  element.addEventListener("keydown", keys);
  (element.querySelector("button") ?? element).focus();
}

/**
 * entries: {label, icon, danger, action}, or {heading}, null for a line, undefined for nothing.
 * back: what gets the focus again.
 */
export function openMenu(entries, x, y, back) {
  const rows = entries.filter((entry) => entry !== undefined).map((entry) => {
    if (!entry) return h("hr", { role: "separator" });
    if (entry.heading) return h("div", { class: "menu-heading", role: "presentation" }, entry.heading);
    const chosen = () => {
      close(true);
      entry.action();
    };
    return h("button", { type: "button", role: "menuitem", tabindex: "-1", class: entry.danger ? "danger" : null, onclick: chosen, onmouseenter: (event) => event.currentTarget.focus() }, h("span", {}, entry.label), entry.icon ? icon(entry.icon) : null);
  });
  const menu = h("div", { class: "menu", role: "menu", onkeydown: (event) => step(event, menu, { ArrowDown: 1, ArrowUp: -1 }) }, rows);
  open(menu, x, y, back);
}

/** Choose an emoji beside an element. */
export function openEmoji(beside, chosen) {
  const board = h(
    "div",
    { class: "emoji-board", role: "dialog", "aria-label": t("add_reaction"), onkeydown: (event) => step(event, board, { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }) },
    EMOJI.map((emoji) =>
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            close(true);
            chosen(emoji);
          },
        },
        emoji,
      ),
    ),
  );
  const box = beside.getBoundingClientRect();
  open(board, box.right - 300, box.bottom + 4, beside);
}

/** A few words beside an element. */
export function openNote(text, beside) {
  const box = beside.getBoundingClientRect();
  open(h("div", { class: "note", role: "dialog", tabindex: "-1", "aria-label": t("description") }, h("h3", {}, t("description")), h("p", {}, text)), box.left, box.bottom + 6, beside);
}

function step(event, element, keys) {
  const by = keys[event.key];
  if (!by) return;
  event.preventDefault();
  const buttons = [...element.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  buttons[(at + by + buttons.length) % buttons.length].focus();
}
