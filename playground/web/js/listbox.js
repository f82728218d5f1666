// A list to choose from, driven by the keys of whoever owns it: https://www.w3.org/WAI/ARIA/apg/patterns/listbox/

import { fill, h, icon } from "./dom.js";

let lists = 0;

/**
 * Items: {label, description, note, mark (an element), chosen, off, pick}. One of them may be active;
 * chosen: only where items stay chosen, as in a select.
 */
export class Listbox {
  constructor(props = {}) {
    this._id = `list-${++lists}`;
    this.items = [];
    this.active = -1;
    this._title = h("div", { class: "list-title" });
    this._list = h("div", { class: "list-items", role: "listbox", id: this._id });
    this.element = h("div", { class: "listbox", hidden: true, ...props }, this._title, this._list);
    // A click must not take the focus from the field that the list belongs to.
    this.element.addEventListener("mousedown", (event) => event.preventDefault());
  }

  /** Several may be chosen. */
  several() {
    this._list.setAttribute("aria-multiselectable", "true");
  }

  get id() {
    return this._id;
  }

  get open() {
    return !this.element.hidden;
  }

  /** Show these. active: the index to begin with, -1 for none. empty: what to say without items. */
  show(title, items, { active = -1, empty = null } = {}) {
    this.items = items;
    fill(this._title, title);
    this._list.setAttribute("aria-label", this._title.textContent);
    const rows = items.map((item, index) =>
      h(
        "div",
        {
          role: "option",
          id: `${this._id}-${index}`,
          class: "list-item",
          "aria-selected": String(item.chosen ?? false),
          "aria-disabled": item.off ? "true" : null,
          onclick: () => item.pick(),
          onmousemove: () => this.activate(index, false),
        },
        item.mark ?? null,
        h("span", { class: "list-label" }, item.label),
        item.description ? h("span", { class: "list-description" }, item.description) : null,
        item.note ? h("span", { class: "list-note" }, item.note) : null,
        item.chosen ? icon("check") : null,
      ),
    );
    this._list.replaceChildren(...rows);
    if (!items.length && empty) this._list.append(h("div", { class: "list-empty" }, empty));
    this.element.hidden = !items.length && !empty;
    this.active = -1;
    this._list.scrollTop = 0;
    if (active >= 0 && items.length) this.activate(active);
  }

  hide() {
    this.element.hidden = true;
    this.items = [];
    this.active = -1;
  }

  /** The next (1) or previous (-1) one, around the ends. */
  move(step) {
    if (!this.items.length) return;
    const from = this.active < 0 && step < 0 ? 0 : this.active;
    this.activate((from + step + this.items.length) % this.items.length);
  }

  /** Take the active one; false when there is none. */
  pick() {
    const item = this.items[this.active];
    item?.pick();
    return Boolean(item);
  }

  /** Tell the field that owns it which item is active. */
  describe(field) {
    if (field.role === "combobox") field.setAttribute("aria-expanded", String(this.open));
    field.setAttribute("aria-controls", this._id);
    if (this.open && this.active >= 0) field.setAttribute("aria-activedescendant", `${this._id}-${this.active}`);
    else field.removeAttribute("aria-activedescendant");
  }

  activate(index, scroll = true) {
    this._mark(this.active, false);
    this.active = index;
    this._mark(index, true);
    if (scroll) this._list.children[index].scrollIntoView({ block: "nearest" });
  }

  _mark(index, active) {
    const row = this._list.children[index];
    row?.classList.toggle("active", active);
    // Where nothing stays chosen, the active one is.
    if (row && this.items[index].chosen === undefined) row.setAttribute("aria-selected", String(active));
  }
}
