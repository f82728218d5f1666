// Building elements. Text only ever becomes text: no string of anybody's is read as HTML here.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "multiple", "open"]);

/** An element. props: attributes; onclick … listeners; class; data: dataset. Children: nodes or text. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  return fill(element, ...children);
}

/** Give an element these children and no others; lists are taken apart, and null is nothing. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

// Outlines on a grid of 24.
const ICONS = {
  hash: "M5 9h15M4 15h15M10 3 8 21M16 3l-2 18",
  thread: "M4 5h16M4 10h9M12 20a4 4 0 0 1 4-4h4M17 13l3 3-3 3M4 15h5",
  forum: "M4 4h12v9H9l-4 3v-3H4ZM9 16v1h6l4 3v-3h1V8h-4",
  voice: "M4 9v6h4l5 4V5L8 9ZM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
  announcement: "M4 10v4h3l9 5V5l-9 5ZM8 15l1 5h3l-1-4M19 10v4",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20c.5-4 3-6 6.500-6s6 2 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2 .8 3.200 2.600 3.500 5.500",
  lock: "M6 11h12v9H6ZM9 11V7.5a3 3 0 0 1 6 0V11",
  archive: "M4 5h16v4H4ZM6 9v10h12V9M10 13h4",
  menu: "M4 6h16M4 12h16M4 18h16",
  smile: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5v.01M15 9.5v.01",
  reply: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6v1",
  more: "M5 12v.01M12 12v.01M19 12v.01",
  plus: "M12 5v14M5 12h14",
  send: "M4 4l17 8-17 8 3-8-3-8ZM7 12h14",
  close: "M6 6l12 12M18 6 6 18",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  file: "M6 3h8l4 4v14H6V3ZM14 3v4h4",
  check: "M5 12.5l5 5L19 7",
  copy: "M9 9h11v11H9ZM5 15H4V4h11v1",
  down: "M6 9l6 6 6-6",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  link: "M14 5h5v5M19 5l-8 8M18 13v6H5V6h6",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5",
  theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9Z",
  spark: "M12 3l2 7 7 2-7 2-2 7-2-7-7-2 7-2 2-7Z",
};

/** A drawn icon; it is silent for screen readers, its button has the name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon alone. */
export function iconButton(name, label, onclick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

const BOT_HUE = 245;

/** The round picture of an account: its initial on a colour of its own. */
export function avatar(account, size = "") {
  const hue = [...account.name].reduce((sum, letter) => (sum * 47 + letter.codePointAt(0)) % 360, 0);
  const element = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, account.bot ? icon("spark") : account.name.slice(0, 1).toUpperCase());
  element.style.setProperty("--hue", account.bot ? BOT_HUE : hue);
  return element;
}

/** A number of bytes, as people read it. */
export function bytes(count) {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KB` : `${(count / 1024 / 1024).toFixed(2)} MB`;
}
