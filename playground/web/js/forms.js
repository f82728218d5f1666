// Forms that the bot opens (modals): https://docs.discord.com/developers/components/using-modal-components

import { avatar, h, iconButton } from "./dom.js";
import { field } from "./form_fields.js";
import { rich } from "./rich.js";
import { t } from "./words.js";

const [TEXT, LABEL, CHECKBOX] = [10, 18, 23];
let forms = 0;

/** Show a form. submit(values): a promise; the form stays open, with what went wrong, if it fails. */
export function openForm(form, world, submit) {
  const id = `form-${++forms}`;
  const bot = world.members.find((member) => member.bot);
  const rows = form.components.flatMap((entry) => rowsOf(entry)).map((row, n) => new Row(row, world, `${id}-${n}`));
  const wrong = h("p", { class: "form-wrong", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "button primary" }, t("submit"));
  const send = async (event) => {
    event.preventDefault();
    const [first] = rows.filter((row) => !row.check());
    if (first) return first.focus();
    wrong.hidden = true;
    button.disabled = true;
    try {
      const given = await Promise.all(rows.filter((row) => row.name).map(async (row) => [row.name, await row.value()]));
      await submit(Object.fromEntries(given));
      dialog.close();
    } catch (error) {
      wrong.textContent = { silent: t("form_silent"), lost: t("ended") }[error.kind] ?? t("refused", { text: error.message });
      wrong.hidden = false;
      wrong.scrollIntoView({ block: "nearest" });
    } finally {
      button.disabled = false;
    }
  };
  const dialog = h(
    "dialog",
    { class: "form", "aria-labelledby": id, onclose: () => dialog.remove() },
    h(
      "form",
      { onsubmit: send, novalidate: true },
      h("header", {}, avatar(bot, "small"), h("h2", { id }, form.title), iconButton("close", t("close"), () => dialog.close())),
      h("div", { class: "form-rows" }, h("p", { class: "form-to" }, t("form_to", { name: bot.name })), rows.map((row) => row.element), wrong),
      h("footer", {}, h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, t("cancel")), button),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  rows.find((row) => row.name)?.focus();
}

/** A row as {label, description, entry}; entry: the text or the field of it. */
function rowsOf(entry) {
  if (entry.type === TEXT) return [{ entry }];
  if (entry.type === LABEL) return [{ label: entry.label, description: entry.description, entry: entry.component }];
  return (entry.components ?? []).map((inner) => ({ label: inner.label, entry: inner }));
}

/** One row of a form: words, or a field with its label and what is wrong with it. */
class Row {
  constructor({ label, description, entry }, world, id) {
    if (entry.type === TEXT) {
      this.element = h("div", { class: "text" }, rich(entry.content, world));
      return;
    }
    this.name = entry.custom_id;
    const names = { "aria-labelledby": `${id}-label`, "aria-describedby": `${id}-about ${id}-wrong` };
    this._field = field(entry, world, names, () => this._wrong.textContent && this.check());
    this._wrong = h("p", { class: "field-wrong", id: `${id}-wrong` });
    const needed = entry.required !== false && entry.type !== CHECKBOX;
    const head = h("span", { class: "form-label", id: `${id}-label`, onclick: () => this._field.focus() }, label ?? "", needed ? h("span", { class: "needed", title: t("required"), "aria-hidden": "true" }, "*") : null);
    const about = h("small", { id: `${id}-about` }, description);
    this.element = h("div", { class: `form-row ${entry.type === CHECKBOX ? "ticked" : ""}` }, head, about, this._field.element, this._wrong);
  }

  /** Whether it can be sent; says what is wrong if not. */
  check() {
    const problem = this.name ? this._field.problem() : null;
    if (!this.name) return true;
    this._wrong.textContent = problem ?? "";
    this.element.classList.toggle("wrong", Boolean(problem));
    this._field.mark(Boolean(problem));
    return !problem;
  }

  value() {
    return this._field.value();
  }

  focus() {
    this._field.focus();
  }
}
