// Slash commands as data: what there is, what is typed, and what Discord's client would not send.

export const KIND = { subcommand: 1, group: 2, string: 3, integer: 4, boolean: 5, user: 6, channel: 7, role: 8, mentionable: 9, number: 10, file: 11 };
const BIGGEST = 2 ** 53;

const localized = (entry, field, locale) => entry[`${field}_localizations`]?.[locale] ?? entry[field];

/**
 * The slash commands of a channel, each subcommand on its own:
 * {words, shown, description, options}. words: what the server calls it.
 */
export function slashCommands(commands, locale, channel) {
  return offered(commands, 1, channel).flatMap((command) => spread(command, locale, [], []));
}

/** The commands of this kind that may be used in a channel. */
function offered(commands, kind, channel) {
  return commands.filter((c) => c.type === kind && (!c.nsfw || channel.nsfw) && channel.commands.includes(c.id));
}

function spread(entry, locale, words, names) {
  const options = entry.options ?? [];
  const path = [...words, entry.name];
  const shown = [...names, localized(entry, "name", locale)];
  const inner = options.filter((o) => o.type === KIND.subcommand || o.type === KIND.group);
  if (inner.length) return inner.flatMap((option) => spread(option, locale, path, shown));
  return [
    {
      words: path.join(" "),
      shown: shown.join(" "),
      description: localized(entry, "description", locale),
      options: options.map((option) => ({
        ...option,
        shown: localized(option, "name", locale),
        about: localized(option, "description", locale),
        choices: option.choices?.map((choice) => ({ value: choice.value, name: localized(choice, "name", locale) })),
      })),
    },
  ];
}

/** The context menu commands. kind: 2 of people, 3 of messages. */
export function menuCommands(commands, kind, locale, channel) {
  return offered(commands, kind, channel).map((c) => ({ name: c.name, shown: localized(c, "name", locale) }));
}

/** The entries that fit what is typed, those first that begin with it. text: what is looked at. */
export function fitting(entries, typed, text) {
  const wanted = typed.trim().toLowerCase();
  const rank = (entry) => {
    const at = text(entry).toLowerCase().indexOf(wanted);
    return at > 0 ? 1 : at;
  };
  return entries.filter((entry) => rank(entry) >= 0).sort((a, b) => rank(a) - rank(b));
}

/** The command whose name a line begins with, and what follows it; the longest name wins. */
export function commandOf(line, commands) {
  const fits = (name) => line === `/${name}` || line.startsWith(`/${name} `);
  const found = commands.filter((c) => fits(c.shown) || fits(c.words)).sort((a, b) => b.words.length - a.words.length)[0];
  if (!found) return null;
  const name = fits(found.shown) ? found.shown : found.words;
  return { command: found, rest: line.slice(name.length + 2) };
}

/** Where in a text an option is named, such as `… lora:`: {before, option, after}, or null. */
export function nextOption(text, options) {
  let first = null;
  for (const option of options) {
    for (const name of new Set([option.shown, option.name])) {
      const match = new RegExp(`(^|\\s)${name.replace(/[^\p{L}\p{N}_]/gu, "\\$&")}:`, "u").exec(text);
      if (match && (first === null || match.index < first.at)) {
        first = { at: match.index, option, before: text.slice(0, match.index), after: text.slice(match.index + match[0].length).trimStart() };
      }
    }
  }
  return first;
}

/** A written command line in parts: [[option, text], …]. What precedes the first name is lost. */
export function readOptions(rest, options) {
  const found = [];
  let left = options;
  let next = nextOption(rest, left);
  while (next) {
    const { option, after } = next;
    left = left.filter((other) => other !== option);
    next = nextOption(after, left);
    found.push([option, next ? next.before.trimEnd() : after]);
  }
  return found;
}

/** What is wrong with a filled-in option: [key of words, values], or null. */
export function problem(option, { text, chosen, file }) {
  if (option.type === KIND.file) return file ? null : ["error_empty"];
  const typed = text.trim();
  if (!typed) return ["error_empty"];
  if (option.choices || [KIND.boolean, KIND.user, KIND.channel, KIND.role, KIND.mentionable].includes(option.type)) {
    return chosen ? null : ["error_choice"];
  }
  if (option.type === KIND.integer || option.type === KIND.number) {
    if (chosen) return null;
    const number = numeric(typed);
    if (number === null) return ["error_number"];
    if (option.type === KIND.integer && !Number.isInteger(number)) return ["error_whole"];
    const [min, max] = [option.min_value ?? -BIGGEST, option.max_value ?? BIGGEST];
    return number < min || number > max ? ["error_range", { min, max }] : null;
  }
  const length = [...text].length;
  if (length < (option.min_length ?? 0)) return ["error_short", { min: option.min_length }];
  const max = option.max_length ?? 6000;
  return length > max ? ["error_long", { length, max }] : null;
}

/** What is sent for a filled-in option that has no problem; files apart. */
export function valueOf(option, { text, chosen }) {
  if (chosen) return chosen.value;
  if (option.type === KIND.integer || option.type === KIND.number) return numeric(text.trim());
  return text;
}

function numeric(typed) {
  return /^[-+]?(\d+([.,]\d*)?|[.,]\d+)$/.test(typed) ? Number(typed.replace(",", ".")) : null;
}
