// Buttons, selects and the layouts around them: https://docs.discord.com/developers/components/reference

import { fileCard, gallery, thumbnail } from "./attachments.js";
import { h, icon } from "./dom.js";
import { Listbox } from "./listbox.js";
import { rich, spoiler } from "./rich.js";
import { t } from "./words.js";

export const ROW = 1;
export const BUTTON = 2;
export const SELECTS = { string: 3, user: 5, role: 6, mentionable: 7, channel: 8 };
const LINK = 5;
const WIDE = 2;
const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "primary" };

/** The words of a message's layout, as they were written. */
export function wordsOf(rows) {
  return rows.flatMap((entry) => (entry.type === 10 ? [entry.content] : wordsOf(entry.components ?? []))).join("\n");
}

/** on: {click(custom_id), select(custom_id, values)}, each a promise that ends with the bot's answer. */
export function components(rows, world, on) {
  return rows.map((entry) => component(entry, world, on));
}

function component(entry, world, on) {
  const inner = () => components(entry.components ?? [], world, on);
  switch (entry.type) {
    case ROW:
      return h("div", { class: "component-row" }, inner());
    case BUTTON:
      return button(entry, on);
    case SELECTS.string:
    case SELECTS.user:
    case SELECTS.role:
    case SELECTS.mentionable:
    case SELECTS.channel:
      return select(entry, world, (values) => on.select(entry.custom_id, values));
    case 9:
      return h("div", { class: "section" }, h("div", {}, inner()), component(entry.accessory, world, on));
    case 10:
      return h("div", { class: "text" }, rich(entry.content, world));
    case 11:
      return h("div", { class: "tile side" }, thumbnail([media(entry)], 0));
    case 12:
      return gallery(entry.items.map(media));
    case 13:
      return covered(entry, fileCard({ ...entry.file, name: entry.name, size: entry.size }));
    case 14:
      return h("hr", { class: ["divider", entry.divider === false && "none", entry.spacing === WIDE && "wide"].filter(Boolean).join(" ") });
    case 17: {
      const coloured = typeof entry.accent_color === "number";
      const box = h("div", { class: coloured ? "container coloured" : "container" }, inner());
      if (coloured) box.style.setProperty("--accent", `#${entry.accent_color.toString(16).padStart(6, "0")}`);
      return covered(entry, box);
    }
    default:
      return null;
  }
}

const media = ({ media: file, description, spoiler: hidden }) => ({ url: file.url, name: description, alt: description, width: file.width, height: file.height, spoiler: hidden });
const covered = (entry, element) => (entry.spoiler ? spoiler("div", [element]) : element);

const emoji = (data) => (data?.name ? h("span", { class: "emoji", "aria-hidden": "true" }, data.id ? `:${data.name}:` : data.name) : null);

function button(entry, on) {
  const words = [emoji(entry.emoji), entry.label ? h("span", {}, entry.label) : null];
  if (entry.style === LINK) {
    const href = /^(https?|discord):\/\//.test(entry.url) ? entry.url : null;
    return h("a", { class: "button link", href, target: "_blank", rel: "noopener noreferrer" }, words, icon("link"));
  }
  const element = h("button", { type: "button", class: `button ${STYLES[entry.style]}`, disabled: entry.disabled, data: { key: entry.custom_id }, "aria-label": entry.label ? null : entry.emoji?.name }, words);
  element.addEventListener("click", () => waiting(element, on.click(entry.custom_id)));
  return element;
}

async function waiting(element, promise) {
  element.classList.add("waiting");
  element.setAttribute("aria-busy", "true");
  await promise;
  element.classList.remove("waiting");
  element.removeAttribute("aria-busy");
}

/** What a select offers: {value, label, description, emoji, default}. */
function choicesOf(entry, world) {
  const members = world.members.map((m) => ({ value: m.id, label: `@${m.name}` }));
  const roles = world.roles.map((r) => ({ value: r.id, label: r.name }));
  const types = entry.channel_types;
  const channels = world.channels.filter((c) => !types?.length || types.includes(c.type)).map((c) => ({ value: c.id, label: `#${c.name}` }));
  const all = { [SELECTS.user]: members, [SELECTS.role]: roles, [SELECTS.mentionable]: [...members, ...roles], [SELECTS.channel]: channels };
  return all[entry.type] ?? entry.options;
}

/**
 * A select. onchoice: called with the values: at once where one is chosen, else when it is closed.
 * The element has `values` and `invalid`, for forms.
 */
export function select(entry, world, onchoice) {
  const choices = choicesOf(entry, world);
  const least = entry.min_values ?? 1;
  const most = entry.max_values ?? 1;
  const chosen = new Set(choices.filter((choice) => choice.default).map((choice) => choice.value));
  const list = new Listbox({ class: "listbox select-list" });
  const label = h("span", { class: "select-label" });
  const field = h(
    "button",
    { type: "button", class: "select-field", role: "combobox", "aria-haspopup": "listbox", "aria-expanded": "false", "aria-label": entry.placeholder ?? t("choose"), disabled: entry.disabled, data: { key: entry.custom_id } },
    label,
    icon("down"),
  );
  const element = h("div", { class: "select" }, field, list.element);
  const write = () => {
    const labels = choices.filter((choice) => chosen.has(choice.value)).map((choice) => choice.label);
    label.textContent = labels.join(", ") || entry.placeholder || t("choose");
    label.classList.toggle("placeholder", !labels.length);
    element.values = [...chosen];
    element.invalid = chosen.size < least && !(entry.required === false && !chosen.size);
  };
  let changed = false;
  const open = () => {
    changed = false;
    draw(Math.max(0, choices.findIndex((choice) => chosen.has(choice.value))));
  };
  const close = () => {
    if (!list.open) return;
    list.hide();
    list.describe(field);
    if (changed && most > 1 && !element.invalid) onchoice(element.values);
  };
  const take = (choice, index) => {
    changed = true;
    if (most === 1) {
      chosen.clear();
      chosen.add(choice.value);
      write();
      list.hide();
      list.describe(field);
      onchoice(element.values);
      return;
    }
    if (!chosen.delete(choice.value) && chosen.size < most) chosen.add(choice.value);
    write();
    draw(index);
  };
  const draw = (active) => {
    const items = choices.map((choice, index) => ({
      label: [emoji(choice.emoji), " ", choice.label],
      description: choice.description,
      note: chosen.has(choice.value) ? "✓" : null,
      pick: () => take(choice, index),
    }));
    list.show(entry.placeholder ?? t("choose"), items, { active, empty: t("nothing_here") });
    list.element.scrollIntoView({ block: "nearest" });
    list.describe(field);
  };
  field.addEventListener("click", () => (list.open ? close() : open()));
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.open) list.move(event.key === "ArrowDown" ? 1 : -1);
      else open();
      list.describe(field);
    } else if (list.open && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      list.pick();
    } else if (list.open && event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
  write();
  return element;
}
