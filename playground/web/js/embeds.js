// Embeds: https://docs.discord.com/developers/resources/message#embed-object

import { gallery, thumbnail } from "./attachments.js";
import { h } from "./dom.js";
import { rich, richLine } from "./rich.js";
import { written } from "./time.js";

const picture = (media, name) => ({ url: media.url, name, width: media.width, height: media.height });
const http = (url) => (/^https?:\/\//.test(url ?? "") ? url : null);

function linked(url, className, children) {
  const href = http(url);
  return href ? h("a", { class: className, href, target: "_blank", rel: "noopener noreferrer" }, children) : h("div", { class: className }, children);
}

export function embed(data, world) {
  const element = h(
    "article",
    { class: "embed" },
    h(
      "div",
      { class: "embed-words" },
      data.author ? linked(data.author.url, "embed-author", data.author.name) : null,
      data.title ? linked(data.url, "embed-title", richLine(data.title, world)) : null,
      data.description ? h("div", { class: "embed-description" }, rich(data.description, world)) : null,
      data.fields?.length ? h("dl", { class: "embed-fields" }, data.fields.map((field) => fieldOf(field, world))) : null,
    ),
    data.thumbnail ? thumbnail([picture(data.thumbnail, data.title)], 0, { class: "picture embed-thumbnail" }) : null,
    data.image ? gallery([picture(data.image, data.title)]) : null,
    data.footer || data.timestamp
      ? h("footer", {}, [data.footer?.text, data.timestamp && written(data.timestamp, world.locale)].filter(Boolean).join(" • "))
      : null,
  );
  if (data.color) element.style.setProperty("--accent", `#${data.color.toString(16).padStart(6, "0")}`);
  return element;
}

function fieldOf(field, world) {
  return h("div", { class: field.inline ? "embed-field inline" : "embed-field" }, h("dt", {}, richLine(field.name, world)), h("dd", {}, rich(field.value, world)));
}
