// Light or dark: as the system is, until one chooses.

const KEY = "playground-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function begin() {
  const chosen = localStorage.getItem(KEY);
  if (chosen) document.documentElement.dataset.theme = chosen;
}

/** "light" or "dark". */
export function name() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

export function change() {
  const chosen = name() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  localStorage.setItem(KEY, chosen);
}
