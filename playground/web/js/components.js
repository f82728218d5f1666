// Buttons, selects and the layouts around them: https://docs.discord.com/developers/components/reference

import { fileCard, gallery, thumbnail } from "./attachments.js";
import { h, icon } from "./dom.js";
import { rich, spoiler } from "./rich.js";
import { SELECTS, emoji, select } from "./select.js";

const ROW = 1;
const BUTTON = 2;
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
      return select(entry, world, (values) => on.select(entry.custom_id, values)).element;
    case 9:
      return h("div", { class: "section" }, h("div", {}, inner()), component(entry.accessory, world, on));
    case 10:
      return h("div", { class: "text" }, rich(entry.content, world));
    case 11:
      return h("div", { class: "tile side" }, thumbnail([media(entry)], 0));
    case 12:
      return gallery(entry.items.map(media));
    case 13:
      return covered(entry, fileCard({ ...entry.file, name: entry.name, size: entry.size, covered: entry.spoiler }));
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
