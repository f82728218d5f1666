// Selects of messages and forms: https://docs.discord.com/developers/components/reference#string-select
// The field is a combobox without text: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/examples/combobox-select-only/

import { h, icon } from "./dom.js";
import { Listbox } from "./listbox.js";
import { t } from "./words.js";

export const SELECTS = { string: 3, user: 5, role: 6, mentionable: 7, channel: 8 };
const PATIENCE = 700; // ms between two letters of one word

export const emoji = (data) => (data?.name ? h("span", { class: "emoji", "aria-hidden": "true" }, data.id ? `:${data.name}:` : data.name) : null);

/** What a select offers: {value, label, description, emoji, default}. */
function choicesOf(entry, world) {
  if (entry.type === SELECTS.string) return entry.options;
  const members = world.members.map((m) => ({ value: m.id, label: `@${m.name}` }));
  const roles = world.roles.map((r) => ({ value: r.id, label: r.name.startsWith("@") ? r.name : `@${r.name}` }));
  const types = entry.channel_types;
  const channels = world.channels.filter((c) => !c.private && (!types?.length || types.includes(c.type))).map((c) => ({ value: c.id, label: `#${c.name}` }));
  const offered = { [SELECTS.user]: members, [SELECTS.role]: roles, [SELECTS.mentionable]: [...members, ...roles], [SELECTS.channel]: channels }[entry.type];
  const before = new Set((entry.default_values ?? []).map(({ id }) => id));
  return offered.map((choice) => ({ ...choice, default: before.has(choice.value) }));
}

/** A select that is drawn; `element`, with `values` that are chosen. */
class Select {
  /** props: of the field. onchoice(values): at once where one is chosen, else when it is closed. */
  constructor(entry, world, onchoice, props) {
    this._entry = entry;
    this._onchoice = onchoice;
    this._choices = choicesOf(entry, world);
    this._least = entry.min_values ?? 1;
    this._most = entry.max_values ?? 1;
    this._chosen = new Set(this._choices.filter((choice) => choice.default).map((choice) => choice.value));
    this._typed = { text: "", at: 0 };
    this._list = new Listbox({ class: "listbox select-list" });
    if (this._most > 1) this._list.several();
    this._label = h("span", { class: "select-label" });
    this._field = h(
      "button",
      {
        type: "button",
        class: "select-field",
        role: "combobox",
        "aria-haspopup": "listbox",
        "aria-expanded": "false",
        "aria-controls": this._list.id,
        "aria-label": this._placeholder,
        disabled: entry.disabled,
        data: { key: entry.custom_id },
        onclick: () => (this._list.open ? this._close() : this._open()),
        onblur: () => this._close(),
        onkeydown: (event) => this._key(event),
        ...props,
      },
      this._label,
      icon("down"),
    );
    this.element = h("div", { class: "select" }, this._field, this._list.element);
    this._write();
  }

  get values() {
    return this._choices.filter((choice) => this._chosen.has(choice.value)).map((choice) => choice.value);
  }

  get _placeholder() {
    return this._entry.placeholder ?? t("choose");
  }

  get _enough() {
    return this._chosen.size >= this._least;
  }

  _write() {
    const labels = this._choices.filter((choice) => this._chosen.has(choice.value));
    const shown = labels.map((choice, n) => [n ? ", " : null, emoji(choice.emoji), choice.emoji ? " " : null, choice.label]);
    this._label.replaceChildren(...(labels.length ? shown.flat().filter(Boolean) : [this._placeholder]));
    this._label.classList.toggle("placeholder", !labels.length);
  }

  _open() {
    this._changed = false;
    this._draw(Math.max(0, this._choices.findIndex((choice) => this._chosen.has(choice.value))));
  }

  _close() {
    if (!this._list.open) return;
    this._list.hide();
    this._list.describe(this._field);
    if (this._changed && this._most > 1 && this._enough) this._onchoice(this.values);
  }

  _take({ value }, index) {
    this._changed = true;
    if (this._most > 1) {
      if (!this._chosen.delete(value) && this._chosen.size < this._most) this._chosen.add(value);
      this._write();
      this._draw(index);
      return;
    }
    // What may stay empty can be emptied again.
    const emptied = this._least === 0 || this._entry.required === false ? this._chosen.has(value) : false;
    this._chosen = new Set(emptied ? [] : [value]);
    this._write();
    this._close();
    this._onchoice(this.values);
  }

  _draw(active) {
    const full = this._most > 1 && this._chosen.size >= this._most;
    const items = this._choices.map((choice, index) => ({
      label: choice.label,
      mark: emoji(choice.emoji),
      description: choice.description,
      chosen: this._chosen.has(choice.value),
      off: full && !this._chosen.has(choice.value),
      pick: () => this._take(choice, index),
    }));
    this._list.show(this._placeholder, items, { active, empty: t("nothing_here") });
    this._list.element.scrollIntoView({ block: "nearest" });
    this._list.describe(this._field);
  }

  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    const letter = key.length === 1 && key !== " ";
    if (!step && !letter && !["Enter", " ", "Escape", "Home", "End"].includes(key)) return;
    // Closed, one of a message leaves what is typed to the composer.
    if (!this._list.open && (key === "Escape" || (letter && !this._field.closest("dialog")))) return;
    event.preventDefault();
    event.stopPropagation();
    if (!this._list.open) this._open();
    else if (step) this._list.move(step);
    else if (key === "Home") this._list.activate(0);
    else if (key === "End") this._list.activate(this._choices.length - 1);
    else if (key === "Escape") this._close();
    else if (!letter) this._list.pick();
    if (letter) this._seek(key);
    this._list.describe(this._field);
  }

  /** Go to the next choice that begins with what is typed. */
  _seek(letter) {
    const now = performance.now();
    const text = (now - this._typed.at < PATIENCE ? this._typed.text : "") + letter.toLowerCase();
    this._typed = { text, at: now };
    const from = this._list.active + (text.length === 1 ? 1 : 0);
    const order = [...this._choices.keys()].map((n) => (n + from) % this._choices.length);
    const found = order.find((n) => this._choices[n].label.replace(/^[@#]/, "").toLowerCase().startsWith(text));
    if (found !== undefined) this._list.activate(found);
  }
}

/** See `Select`. */
export const select = (entry, world, onchoice, props = {}) => new Select(entry, world, onchoice, props);
