// What a form can ask for, and what Discord's client accepts as an answer.

import { packed } from "./client.js";
import { bytes, h, icon, iconButton } from "./dom.js";
import { SELECTS, select } from "./select.js";
import { t } from "./words.js";

const [TEXT_INPUT, UPLOAD, RADIO, CHECKBOXES, CHECKBOX] = [4, 19, 21, 22, 23];
const PARAGRAPH = 2;
const LONGEST = 4000;

/**
 * A field: {element, focus(), value() (or a promise of it), problem() (words or null), mark(wrong)}.
 * names: attributes that name and describe it. changed(): called when it was filled in otherwise.
 */
export function field(entry, world, names, changed) {
  if (Object.values(SELECTS).includes(entry.type)) return choosing(entry, world, names, changed);
  return { [TEXT_INPUT]: typing, [UPLOAD]: uploading, [RADIO]: picking, [CHECKBOXES]: picking, [CHECKBOX]: ticking }[entry.type](entry, names, changed);
}

const marking = (element) => (wrong) => (wrong ? element.setAttribute("aria-invalid", "true") : element.removeAttribute("aria-invalid"));

/** What is wrong with so many choices, or null. most: how many there may be if the entry says nothing. */
function counted(entry, count, most) {
  if (!count && entry.required === false) return null;
  const [min, max] = [entry.min_values ?? 1, entry.max_values ?? most];
  if (!count && min) return t("error_empty");
  return count < min || count > max ? t(min === max ? "error_exactly" : "error_count", { min, max }) : null;
}

function typing(entry, names, changed) {
  const longest = entry.max_length ?? LONGEST;
  const counter = h("span", { class: "counter", "aria-hidden": "true" });
  const count = () => {
    counter.textContent = `${[...control.value].length}/${longest}`;
    counter.hidden = !entry.max_length && control.value.length < longest * 0.9;
  };
  const typed = () => (count(), changed());
  const required = entry.required !== false;
  const props = { ...names, name: entry.custom_id, placeholder: entry.placeholder, maxlength: longest, "aria-required": required ? "true" : null, autocomplete: "off", value: entry.value ?? "", oninput: typed };
  const control = entry.style === PARAGRAPH ? h("textarea", { rows: "4", ...props }) : h("input", { type: "text", ...props });
  count();
  return {
    element: h("div", { class: entry.style === PARAGRAPH ? "typed long" : "typed" }, control, counter),
    focus: () => control.focus(),
    value: () => control.value,
    mark: marking(control),
    problem: () => {
      const length = [...control.value].length;
      if (!length) return required ? t("error_empty") : null;
      if (length < (entry.min_length ?? 0)) return t("error_short", { min: entry.min_length });
      return length > longest ? t("error_long", { length, max: longest }) : null;
    },
  };
}

function choosing(entry, world, names, changed) {
  const chosen = select(entry, world, changed, { ...names, "aria-label": null });
  const control = chosen.element.firstChild;
  return { element: chosen.element, focus: () => control.focus(), value: () => chosen.values, mark: marking(control), problem: () => counted(entry, chosen.values.length, 1) };
}

/** A radio group, or several boxes to tick. */
function picking(entry, names, changed) {
  const radio = entry.type === RADIO;
  const boxes = entry.options.map((option) => h("input", { type: radio ? "radio" : "checkbox", name: entry.custom_id, value: option.value, checked: option.default, onchange: changed }));
  const rows = entry.options.map((option, n) => h("label", { class: "form-choice" }, boxes[n], h("span", {}, option.label, option.description ? h("small", {}, option.description) : null)));
  const element = h("div", { class: "form-choices", role: radio ? "radiogroup" : "group", ...names }, rows);
  const values = () => boxes.filter((box) => box.checked).map((box) => box.value);
  return {
    element,
    focus: () => (boxes.find((box) => box.checked) ?? boxes[0]).focus(),
    value: () => (radio ? (values()[0] ?? null) : values()),
    mark: marking(element),
    problem: () => counted(entry, values().length, radio ? 1 : boxes.length),
  };
}

function ticking(entry, names, changed) {
  const control = h("input", { ...names, type: "checkbox", name: entry.custom_id, checked: entry.default, onchange: changed });
  return { element: control, focus: () => control.focus(), value: () => control.checked, mark: marking(control), problem: () => null };
}

/** Files to choose, drop or paste. */
function uploading(entry, names, changed) {
  const most = entry.max_values ?? 1;
  let files = [];
  const list = h("ul", { class: "form-files" });
  const take = (more) => {
    // One alone is replaced; of several, what is too much is not taken.
    files = most === 1 ? more.slice(0, 1) : [...files, ...more].slice(0, most);
    show();
  };
  const show = () => {
    const remove = (file) => () => {
      files = files.filter((other) => other !== file);
      show();
    };
    list.replaceChildren(...files.map((file) => h("li", {}, icon("file"), h("span", {}, file.name, h("small", {}, bytes(file.size))), iconButton("close", t("remove", { name: file.name }), remove(file)))));
    changed();
  };
  const dropped = (event) => {
    event.preventDefault();
    event.stopPropagation();
    take([...event.dataTransfer.files]);
  };
  const picker = h("input", { type: "file", hidden: true, multiple: most > 1, onchange: () => (take([...picker.files]), (picker.value = "")) });
  const button = h("button", { type: "button", class: "drop", ...names, onclick: () => picker.click() }, icon("plus"), h("span", {}, t("choose_file")));
  const element = h("div", { ondrop: dropped, onpaste: (event) => event.clipboardData.files.length && take([...event.clipboardData.files]) }, button, picker, list);
  return {
    element,
    focus: () => button.focus(),
    value: () => Promise.all(files.map(packed)),
    mark: marking(button),
    problem: () => counted(entry, files.length, 1),
  };
}
