// A field that grows with what is typed.

import { h } from "./dom.js";

/** The textarea and the element around it; `set` changes the text as typing would, unheard. */
export function growing(props) {
  const field = h("textarea", { rows: "1", spellcheck: "false", autocomplete: "off", ...props });
  const element = h("span", { class: "grow" }, field);
  const fit = () => {
    element.dataset.text = field.value;
  };
  field.addEventListener("input", fit);
  return {
    element,
    field,
    set(text) {
      field.value = text;
      fit();
    },
  };
}

/** A field that a list of suggestions belongs to. Of several lines, it cannot be a combobox. */
export const SUGGESTING = { "aria-autocomplete": "list", "aria-haspopup": "listbox" };
