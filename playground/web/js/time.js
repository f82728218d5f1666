// Points in time as Discord shows them: https://docs.discord.com/developers/reference#message-formatting-timestamp-styles

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** at, now: seconds since 1970. style: the letter of `<t:…:R>`. */
export function shown(at, style, locale, now = Date.now() / 1000) {
  if (style === "R") return relative(at, locale, now);
  const date = new Date(at * 1000);
  return Number.isNaN(date.getTime()) ? String(at) : new Intl.DateTimeFormat(locale, STYLES[style]).format(date);
}

/** "in 5 minutes", "5 minutes ago", in whole units of the largest that fits. */
export function relative(at, locale, now = Date.now() / 1000) {
  const seconds = Math.round(at - now);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(locale).format(Math.trunc(seconds / size), unit);
}

/** When a message was written: the time alone today, with its date before. */
export function written(iso, locale) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(locale, today ? STYLES.t : { dateStyle: "short", timeStyle: "short" }).format(date);
}

/** Keeps every `<time data-relative>` of the page right. */
export function tick() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Number(element.dataset.relative), element.dataset.locale);
    if (element.textContent !== text) element.textContent = text;
  }
}
