// Putting text on the clipboard, and saying so where it was asked for.

import { t } from "./words.js";

const SEEN = 1400; // ms

/** Copy `text`; `button` shows for a moment that it was done. */
export async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  button.dataset.copied = t("copied");
  setTimeout(() => delete button.dataset.copied, SEEN);
}
