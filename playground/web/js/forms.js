// Forms that the bot opens (modals): https://docs.discord.com/developers/components/reference#text-input

import { SELECTS, select } from "./components.js";
import { packed } from "./client.js";
import { h, iconButton } from "./dom.js";
import { rich } from "./rich.js";
import { t } from "./words.js";

const [TEXT_INPUT, TEXT, LABEL, UPLOAD, RADIO, CHECKBOXES, CHECKBOX] = [4, 10, 18, 19, 21, 22, 23];
const PARAGRAPH = 2;
let forms = 0;

/** Show a form. submit(values): a promise; the form stays open, with what went wrong, if it fails. */
export function openForm(form, world, submit) {
  const fields = new Map();
  const wrong = h("p", { class: "form-wrong", role: "alert", hidden: true });
  const rows = form.components.flatMap((entry) => row(entry, world, fields));
  const send = async (event) => {
    event.preventDefault();
    try {
      const values = await Promise.all([...fields].map(async ([name, read]) => [name, await read()]));
      await submit(Object.fromEntries(values.filter(([, value]) => value !== undefined)));
      dialog.close();
    } catch (error) {
      wrong.textContent = error.kind === "silent" ? t("silent") : t("refused", { text: error.message });
      wrong.hidden = false;
    }
  };
  const heading = `form-${++forms}`;
  const dialog = h(
    "dialog",
    { class: "form", "aria-labelledby": heading, onclose: () => dialog.remove() },
    h(
      "form",
      { onsubmit: send },
      h("header", {}, h("h2", { id: heading }, form.title), iconButton("close", t("close"), () => dialog.close())),
      h("div", { class: "form-rows" }, rows),
      wrong,
      h("footer", {}, h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, t("cancel")), h("button", { type: "submit", class: "button primary" }, t("submit"))),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("textarea, .form-rows input, .form-rows button")?.focus();
}

function row(entry, world, fields) {
  if (entry.type === TEXT) return h("div", { class: "text" }, rich(entry.content, world));
  if (entry.type === LABEL) return labelled(entry.label, entry.description, entry.component, world, fields);
  return (entry.components ?? []).map((inner) => labelled(inner.label ?? inner.placeholder, null, inner, world, fields));
}

function labelled(label, description, entry, world, fields) {
  const needed = entry.required ?? true;
  const control = controlOf(entry, world, fields, needed);
  return h(
    "label",
    { class: "form-row" },
    h("span", { class: "form-label" }, label ?? "", needed && entry.type !== CHECKBOX ? h("span", { class: "needed", title: t("required") }, "*") : null),
    description ? h("small", {}, description) : null,
    control,
  );
}

function controlOf(entry, world, fields, required) {
  const name = entry.custom_id;
  const pick = (type, options) => options.map((option) => h("span", { class: "form-choice" }, h("input", { type, name, value: option.value, checked: option.default, "aria-label": option.label }), option.label));
  if (entry.type === TEXT_INPUT) {
    const props = { placeholder: entry.placeholder, minlength: entry.min_length, maxlength: entry.max_length ?? 4000, required, value: entry.value ?? "", name };
    const field = entry.style === PARAGRAPH ? h("textarea", { rows: "4", ...props }) : h("input", { type: "text", ...props });
    fields.set(name, () => field.value);
    return field;
  }
  if (Object.values(SELECTS).includes(entry.type)) {
    const element = select({ ...entry, required }, world, () => {});
    fields.set(name, () => element.values);
    return element;
  }
  if (entry.type === UPLOAD) {
    const field = h("input", { type: "file", multiple: (entry.max_values ?? 1) > 1, required });
    fields.set(name, () => (field.files.length ? Promise.all([...field.files].map(packed)) : undefined));
    return field;
  }
  if (entry.type === CHECKBOX) {
    const field = h("input", { type: "checkbox", name, checked: entry.default });
    fields.set(name, () => field.checked);
    return field;
  }
  if (entry.type === RADIO || entry.type === CHECKBOXES) {
    const group = h("div", { role: "group" }, pick(entry.type === RADIO ? "radio" : "checkbox", entry.options));
    const values = () => [...group.querySelectorAll(":checked")].map((field) => field.value);
    fields.set(name, () => (entry.type === RADIO ? values()[0] : values()));
    return group;
  }
  return null;
}
