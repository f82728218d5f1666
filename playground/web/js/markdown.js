// Discord's Markdown, as a tree of plain objects: {type, children | text, …}. `rich.js` shows it.
// https://support.discord.com/hc/en-us/articles/210298617
// https://docs.discord.com/developers/reference#message-formatting

const FENCE = /```(?:([\w+#.-]+)\n)?\n*([\s\S]*?)\n*```/g;
const LIST = /^(\s*)(?:[-*]|(\d+)\.) +(.*)$/;

/** All of it: what a message or the description of an embed may hold. */
export function parse(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(FENCE)) {
    if (!match[2]) continue;
    nodes.push(...blocks(text.slice(from, match.index).replace(/\n$/, "")));
    nodes.push({ type: "codeblock", language: match[1] ?? "", text: match[2] });
    from = match.index + match[0].length;
  }
  const rest = text.slice(from);
  nodes.push(...blocks(from ? rest.replace(/^\n/, "") : rest));
  return nodes;
}

function blocks(text) {
  if (!text) return [];
  const lines = text.split("\n");
  const nodes = [];
  let plain = [];
  const flush = () => {
    if (plain.length) nodes.push(...inline(plain.join("\n")));
    plain = [];
  };
  const block = (node) => {
    flush();
    nodes.push(node);
  };
  for (let n = 0; n < lines.length; n++) {
    const line = lines[n];
    let match;
    if (line.startsWith(">>> ")) {
      block({ type: "quote", children: blocks([line.slice(4), ...lines.slice(n + 1)].join("\n")) });
      break;
    } else if (line.startsWith("> ")) {
      const quoted = [];
      while (n < lines.length && lines[n].startsWith("> ")) quoted.push(lines[n++].slice(2));
      n--;
      block({ type: "quote", children: blocks(quoted.join("\n")) });
    } else if ((match = /^(#{1,3}) +(\S.*)$/.exec(line))) {
      block({ type: "heading", level: match[1].length, children: inline(match[2]) });
    } else if ((match = /^-# +(\S.*)$/.exec(line))) {
      block({ type: "subtext", children: inline(match[1]) });
    } else if (LIST.test(line)) {
      const entries = [];
      while (n < lines.length && (match = LIST.exec(lines[n]))) {
        entries.push({ depth: Math.min(Math.floor(match[1].length / 2), 10), number: match[2] ? Number(match[2]) : null, children: inline(match[3]) });
        n++;
      }
      n--;
      block({ type: "list", entries });
    } else {
      plain.push(line);
    }
  }
  flush();
  return nodes;
}

const HTTP = String.raw`https?:\/\/`;

// In the order in which they are tried. `make` gets the match; null is "not this one after all".
const RULES = [
  [/\\([^\sA-Za-z0-9])/y, (m) => ({ type: "text", text: m[1] })],
  [
    new RegExp(String.raw`\[((?:\\.|[^[\]\\]|\[[^\]]*\])+)\]\(\s*<?(${HTTP}[^\s>()]+(?:\([^\s()]*\)[^\s>()]*)*)>?(?:\s+"[^"]*")?\s*\)`, "y"),
    (m) => ({ type: "link", url: m[2], children: inline(m[1]) }),
  ],
  [new RegExp(String.raw`<(${HTTP}[^\s<>]+)>`, "y"), (m) => link(m[1])],
  [new RegExp(String.raw`${HTTP}[^\s<]+[^\s<.,:;"'\])*_~|]`, "y"), (m) => link(m[0])],
  [/<@!?(\d+)>/y, (m) => ({ type: "user", id: m[1] })],
  [/<@&(\d+)>/y, (m) => ({ type: "role", id: m[1] })],
  [/<#(\d+)>/y, (m) => ({ type: "channel", id: m[1] })],
  [/<\/([-\w\p{L} ]+):(\d+)>/uy, (m) => ({ type: "command", name: m[1], id: m[2] })],
  [/<a?:(\w+):(\d+)>/y, (m) => ({ type: "emoji", name: m[1] })],
  [/<t:(-?\d{1,13})(?::([tTdDfFR]))?>/y, (m) => ({ type: "time", at: Number(m[1]), style: m[2] ?? "f" })],
  [/@(everyone|here)\b/y, (m) => ({ type: "everyone", name: m[1] })],
  [/\|\|([\s\S]+?)\|\|/y, (m) => ({ type: "spoiler", children: inline(m[1]) })],
  [/\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)/y, (m) => ({ type: "strong", children: inline(m[1]) })],
  [/__((?:\\[\s\S]|[^\\])+?)__(?!_)/y, (m) => ({ type: "underline", children: inline(m[1]) })],
  [/\*(?=\S)((?:\*\*|\\[\s\S]|\s+(?:\\[\s\S]|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)/y, (m) => ({ type: "em", children: inline(m[1]) })],
  [/_((?:__|\\[\s\S]|[^\\_])+?)_(?!\w)/y, (m) => (/\w$/.test(m.input.slice(0, m.index)) ? null : { type: "em", children: inline(m[1]) })],
  [/~~([\s\S]+?)~~(?!~)/y, (m) => ({ type: "strike", children: inline(m[1]) })],
];
const PLAIN = /[^\\`[<h@|*_~]+|h(?!ttps?:\/\/)[^\\`[<h@|*_~]*/y;

function link(url) {
  return { type: "link", url, children: [{ type: "text", text: url }] };
}

/** Code begins and ends with as many backticks. As a pattern this takes seconds for a row of them. */
function code(text, at) {
  const [fence, ...others] = [...text.slice(at).matchAll(/`+/g)];
  const end = others.find((run) => run[0].length === fence[0].length);
  if (!end) return [{ type: "text", text: fence[0] }, at + fence[0].length];
  return [{ type: "code", text: text.slice(at + fence[0].length, at + end.index) }, at + end.index + end[0].length];
}

/** What may stand within a line: no headings, lists, quotes or blocks of code. */
export function inline(text) {
  const nodes = [];
  let at = 0;
  const add = (node) => {
    const last = nodes.at(-1);
    if (node.type === "text" && last?.type === "text") last.text += node.text;
    else nodes.push(node);
  };
  next: while (at < text.length) {
    PLAIN.lastIndex = at;
    const plain = PLAIN.exec(text);
    if (plain) {
      add({ type: "text", text: plain[0] });
      at = PLAIN.lastIndex;
      continue;
    }
    if (text[at] === "`") {
      const [node, end] = code(text, at);
      add(node);
      at = end;
      continue;
    }
    for (const [rule, make] of RULES) {
      rule.lastIndex = at;
      const match = rule.exec(text);
      const end = rule.lastIndex;
      const node = match && make(match);
      if (node) {
        add(node);
        at = end;
        continue next;
      }
    }
    add({ type: "text", text: text[at] });
    at += 1;
  }
  return nodes;
}

/** The words of it without any marks: for one line that quotes a message. */
export function plain(text) {
  const words = (node) => node.text ?? (node.entries ?? [node]).flatMap((entry) => entry.children ?? []).map(words).join("");
  return parse(text).map((node) => (node.type === "spoiler" ? "█████" : words(node))).join(" ").replace(/\s+/g, " ").trim();
}
