// A slash command being filled in: its options as fields, with suggestions above them.

import { KIND, fitting, nextOption, problem, valueOf } from "./commands.js";
import { packed } from "./client.js";
import { bytes, h, icon } from "./dom.js";
import { SUGGESTING, growing } from "./field.js";
import { t } from "./words.js";

const PAUSE = 80; // ms of no typing before the bot is asked for suggestions

/** Of what type an option is, and whether it is required. */
function kindOf({ type, required }) {
  const name = Object.keys(KIND).find((key) => KIND[key] === type);
  return [t(`type_${name}`), required ? t("required") : null].filter(Boolean).join(" · ");
}

export class CommandLine {
  /** list: where suggestions are shown. on: {send(command, values, line), cancel(), wrong(text)}. */
  constructor(client, list, on) {
    this._client = client;
    this._list = list;
    this._on = on;
    this._asked = 0;
    this.command = null;
    this.fields = [];
    this.element = h("div", { class: "command-line", hidden: true });
  }

  get active() {
    return this.command !== null;
  }

  /** Start filling in. given: [[option, {text, chosen, file}], …]. */
  begin(command, channel, given = []) {
    this.command = command;
    this.fields = [];
    this._channel = channel;
    this._tail = growing({ ...SUGGESTING, class: "tail", "aria-label": t("options"), oninput: () => this._tailTyped(), onkeydown: (e) => this._tailKey(e), onfocus: () => this._refresh() });
    this.element.replaceChildren(h("span", { class: "command-name" }, `/${command.shown}`), this._tail.element);
    this.element.hidden = false;
    for (const [option, filled] of given) this._add(option, filled);
    for (const option of command.options) if (option.required && !this._fieldOf(option)) this._add(option);
    const empty = this.fields.find((field) => problem(field.option, field));
    (empty ?? (given.length ? this.fields.at(-1) : null) ?? { field: this._tail.field }).field.focus();
  }

  end() {
    this.command = null;
    this.fields = [];
    this.element.hidden = true;
    this.element.replaceChildren();
    this._list.hide();
  }

  focus() {
    (this.fields.find((field) => problem(field.option, field))?.field ?? this._tail.field).focus();
  }

  /** Give a file to the first option that takes one and has none; false when there is no such. */
  take(file) {
    const free = this.command.options.find((o) => o.type === KIND.file && !this._fieldOf(o)?.file);
    if (!free) return false;
    const field = this._fieldOf(free) ?? this._add(free);
    this._attach(field, file);
    return true;
  }

  /** What could be begun again: the names and texts of what is filled in. */
  get line() {
    return { words: this.command.words, given: this.fields.map((f) => [f.option.name, { text: f.text, chosen: f.chosen, file: f.file }]) };
  }

  _fieldOf(option) {
    return this.fields.find((field) => field.option.name === option.name);
  }

  get _left() {
    return this.command.options.filter((option) => !this._fieldOf(option));
  }

  // Its fields.

  _add(option, { text = "", chosen = null, file = null } = {}, after = null) {
    const entry = {
      option,
      chosen,
      file: null,
      get text() {
        return this.field.value;
      },
    };
    Object.assign(entry, option.type === KIND.file ? this._fileField(entry) : this._textField(entry));
    const star = option.required ? h("span", { class: "needed", "aria-hidden": "true" }, "*") : null;
    const name = h("span", { class: "pill-name" }, option.shown, star);
    entry.element = h("span", { class: "pill", onmousedown: (event) => this._into(event, entry) }, name, entry.holder);
    const index = after ? this.fields.indexOf(after) + 1 : this.fields.length;
    const next = this.fields[index]?.element ?? this._tail.element;
    next.before(entry.element);
    this.fields.splice(index, 0, entry);
    if (file) this._attach(entry, file);
    else if (text) entry.set(text);
    return entry;
  }

  _textField(entry) {
    const { option } = entry;
    const grown = growing({
      ...SUGGESTING,
      "aria-label": option.required ? `${option.shown}, ${t("required")}` : option.shown,
      "aria-required": option.required ? "true" : null,
      oninput: () => this._typed(entry),
      onkeydown: (event) => this._key(event, entry),
      onfocus: () => this._refresh(entry),
      onblur: () => this._list.hide(),
    });
    return { holder: grown.element, field: grown.field, set: grown.set };
  }

  _fileField(entry) {
    const { option } = entry;
    const picker = h("input", { type: "file", hidden: true, onchange: () => picker.files[0] && this._attach(entry, picker.files[0]) });
    const field = h(
      "button",
      { type: "button", class: "pill-file", "aria-label": `${option.shown}: ${t("choose_file")}`, onclick: () => picker.click(), onkeydown: (event) => this._key(event, entry), onfocus: () => this._refresh(entry), onblur: () => this._list.hide() },
      icon("file"),
      h("span", {}, t("choose")),
    );
    return { holder: h("span", {}, field, picker), field, set: () => {} };
  }

  _attach(entry, file) {
    entry.file = file;
    entry.field.lastChild.textContent = `${file.name} · ${bytes(file.size)}`;
    entry.element.classList.remove("wrong");
    this._beyond(entry);
  }

  _into(event, entry) {
    if (event.target === entry.field || entry.field.contains(event.target)) return;
    event.preventDefault();
    entry.field.focus();
  }

  _remove(entry) {
    const index = this.fields.indexOf(entry);
    this.fields.splice(index, 1);
    entry.element.remove();
    const before = this.fields[index - 1];
    (before?.field ?? this._tail.field).focus();
  }

  /** To what has still to be filled in, else to the end. */
  _beyond(entry) {
    const later = [...this.fields.slice(this.fields.indexOf(entry) + 1), ...this.fields];
    const empty = later.find((other) => other !== entry && other.option.required && problem(other.option, other));
    (empty?.field ?? this._tail.field).focus();
  }

  // What is typed.

  _typed(entry) {
    entry.chosen = null;
    entry.element.classList.remove("wrong");
    this._on.wrong(null);
    if (entry.text.startsWith(" ")) entry.set(entry.text.trimStart());
    const empty = this.fields.filter((other) => other !== entry && other.option.required && !other.text && !other.file);
    const next = nextOption(entry.text, [entry.option, ...this._left, ...empty.map(({ option }) => option)]);
    if (next?.option === entry.option) {
      // Typed though it is here already: `/imagine prompt: …`.
      if (!next.before.trim()) entry.set(next.after);
    } else if (next) {
      entry.set(next.before.trimEnd());
      entry.chosen = this._exactly(entry);
      const there = empty.find(({ option }) => option === next.option);
      this._continue(there ?? this._add(next.option, {}, entry), next.after);
      return;
    }
    this._refresh(entry);
  }

  /** Go on typing in a new field; the text may name further options. */
  _continue(entry, text) {
    entry.field.focus();
    if (entry.option.type === KIND.file || !text) return;
    entry.set(text);
    this._typed(entry);
  }

  _tailTyped() {
    this._on.wrong(null);
    const text = this._tail.field.value;
    const next = nextOption(text, this._left);
    if (next) {
      this._tail.set("");
      this._continue(this._add(next.option), next.after);
    } else {
      this._refresh();
    }
  }

  // Suggestions.

  /** Show what fits the field that has the focus; without one, the options that are left. */
  _refresh(entry = null) {
    const ticket = ++this._asked;
    if (!entry) {
      this._offerOptions();
    } else if (entry.option.autocomplete) {
      this._suggest(entry, ticket);
    } else {
      this._offer(entry, this._choicesOf(entry));
    }
  }

  _offerOptions() {
    const typed = this._tail.field.value;
    const items = fitting(this._left, typed, (o) => o.shown).map((option) => ({
      label: option.shown,
      description: option.about,
      note: kindOf(option),
      pick: () => {
        this._tail.set("");
        this._add(option).field.focus();
      },
    }));
    const title = typed || !items.length ? t("options") : [t("options"), h("span", { class: "list-hint" }, t("option_hint"))];
    this._list.show(title, items, { active: typed ? 0 : -1 });
    this._list.describe(this._tail.field);
  }

  _choicesOf({ option, text }) {
    const { world } = this._client;
    const members = world.members.map((m) => ({ name: `@${m.name}`, value: m.id }));
    const roles = world.roles.map((r) => ({ name: r.name.startsWith("@") ? r.name : `@${r.name}`, value: r.id }));
    const all = {
      [KIND.boolean]: [true, false].map((value) => ({ name: t(String(value)), value })),
      [KIND.user]: members,
      [KIND.role]: roles,
      [KIND.mentionable]: [...members, ...roles],
      [KIND.channel]: world.channels.filter((c) => !option.channel_types?.length || option.channel_types.includes(c.type)).map((c) => ({ name: `#${c.name}`, value: c.id })),
    };
    const choices = option.choices ?? all[option.type];
    return choices ? fitting(choices, text, (c) => String(c.name)) : null;
  }

  /** The choice whose name was typed, or null. */
  _exactly(entry) {
    const typed = entry.text.trim().toLowerCase();
    return this._choicesOf(entry)?.find((choice) => String(choice.name).toLowerCase() === typed) ?? null;
  }

  /** choices: null where there is nothing to choose from. */
  _offer(entry, choices) {
    const { option } = entry;
    const title = [h("strong", {}, option.shown), " ", option.about, " ", h("span", { class: "list-hint" }, kindOf(option))];
    const items = (choices ?? []).map((choice) => ({ label: String(choice.name), choice, pick: () => this._choose(entry, choice) }));
    const empty = choices === null ? this._hint(option) : option.autocomplete ? t("no_choice") : t("nothing_here");
    this._list.show(title, items, { active: 0, empty });
    this._offered = entry.text;
    this._list.describe(entry.field);
  }

  _hint(option) {
    if (option.type === KIND.file) return t("choose_file");
    const { min_value: min, max_value: max } = option;
    return min !== undefined && max !== undefined ? t("error_range", { min, max }) : " ";
  }

  async _suggest(entry, ticket) {
    const stale = () => ticket !== this._asked || document.activeElement !== entry.field;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (stale()) return;
    const others = this.fields.filter((other) => other !== entry && other.option.type !== KIND.file && !problem(other.option, other));
    const options = Object.fromEntries(others.map((other) => [other.option.name, valueOf(other.option, other)]));
    const asked = { channel: this._channel.id, command: this.command.words, option: entry.option.name, typed: entry.text, options };
    const { choices } = await this._client.act("autocomplete", asked).catch(() => ({ choices: [] }));
    if (!stale()) this._offer(entry, choices);
  }

  _choose(entry, choice) {
    entry.set(String(choice.name));
    entry.chosen = choice;
    entry.element.classList.remove("wrong");
    this._beyond(entry);
  }

  // Keys.

  _key(event, entry) {
    const { field } = entry;
    const empty = entry.option.type === KIND.file ? !entry.file : !field.value;
    const start = entry.option.type === KIND.file || (field.selectionStart === 0 && field.selectionEnd === 0);
    const end = entry.option.type === KIND.file || field.selectionEnd === field.value.length;
    const index = this.fields.indexOf(entry);
    // Until the bot has answered, the list is still the one for what was typed before.
    const fresh = this._offered === entry.text;
    const go = (other) => {
      event.preventDefault();
      other?.focus();
    };
    if (this._listKey(event, field)) return;
    if (event.key === "Enter") {
      if (entry.option.type === KIND.file && !entry.file) return;
      event.preventDefault();
      const active = fresh ? this._list.items[this._list.active]?.choice : null;
      if (active && entry.text !== String(active.value) && entry.text !== String(active.name)) this._choose(entry, active);
      else {
        if (active) entry.chosen = active;
        this.submit();
      }
    } else if (event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      if (fresh && entry.text && !entry.chosen && this._list.active >= 0) this._list.pick();
      else go(this.fields[index + 1]?.field ?? this._tail.field);
    } else if (event.key === "Tab" && index > 0) {
      go(this.fields[index - 1].field);
    } else if (event.key === "Backspace" && entry.file) {
      event.preventDefault();
      entry.file = null;
      field.lastChild.textContent = t("choose");
    } else if (event.key === "Backspace" && empty) {
      event.preventDefault();
      if (entry.option.required && index === 0) this._on.cancel();
      else this._remove(entry);
    } else if (event.key === "ArrowLeft" && start && index > 0) {
      go(this.fields[index - 1].field);
    } else if (event.key === "ArrowRight" && end) {
      go(this.fields[index + 1]?.field ?? this._tail.field);
    }
  }

  _tailKey(event) {
    const { field } = this._tail;
    if (this._listKey(event, field)) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (this._list.pick()) return;
      if (field.value.trim()) this._on.wrong(t("error_option", { command: this.command.shown }));
      else this.submit();
    } else if (event.key === "Tab" && !event.shiftKey && this._list.active >= 0) {
      event.preventDefault();
      this._list.pick();
    } else if (!field.selectionStart && (event.key === "ArrowLeft" || event.key === "Backspace" || (event.key === "Tab" && event.shiftKey))) {
      const last = this.fields.at(-1);
      if (!last && event.key === "Backspace" && !field.value) this._on.cancel();
      if (!last || (event.key === "Backspace" && field.value)) return;
      event.preventDefault();
      last.field.focus();
    }
  }

  /** What the list does with a key; true when it was for the list. */
  _listKey(event, field) {
    if (event.isComposing) return true;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (this._list.open) {
        this._list.hide();
        this._list.describe(field);
      } else this._on.cancel();
      return true;
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && this._list.open && this._list.items.length) {
      event.preventDefault();
      this._list.move(event.key === "ArrowDown" ? 1 : -1);
      this._list.describe(field);
      return true;
    }
    return false;
  }

  /** Send it, or show what is wrong with it. */
  async submit() {
    const filled = this.fields.filter((f) => f.option.required || f.file || f.text.trim());
    for (const option of this.command.options) if (option.required && !this._fieldOf(option)) filled.push(this._add(option));
    for (const field of filled) {
      const wrong = problem(field.option, field);
      if (!wrong) continue;
      field.element.classList.add("wrong");
      field.field.focus();
      this._on.wrong(`${field.option.shown}: ${t(...wrong)}`);
      return;
    }
    const entries = filled.map(async (f) => [f.option.name, f.file ? await packed(f.file) : valueOf(f.option, f)]);
    this._on.send(this.command, Object.fromEntries(await Promise.all(entries)), this.line);
  }
}
