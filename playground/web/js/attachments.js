// Files of messages: pictures to enlarge, anything else to open.

import { bytes, fill, h, icon, iconButton } from "./dom.js";
import { openNote } from "./menu.js";
import { spoiler } from "./rich.js";
import { t } from "./words.js";

const isPicture = (file) => file.content_type?.startsWith("image/");
const hidden = (file) => file.filename.startsWith("SPOILER_");

/** The files of a message that nothing else of it shows. */
export function attachments(files) {
  if (!files.length) return null;
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  return [
    pictures.length ? gallery(pictures.map((file) => ({ url: file.url, name: file.filename, alt: file.description, width: file.width, height: file.height, spoiler: hidden(file) }))) : null,
    others.map(fileCard),
  ];
}

// A picture alone has at most this size; small ones are enlarged, so that one sees something.
const [WIDEST, HIGHEST] = [550, 350];

function sizeShown({ width, height }) {
  if (!width || !height) return {};
  const scale = Math.min(WIDEST / width, HIGHEST / height);
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

/** Pictures side by side, up to ten: {url, name, alt, width, height, spoiler}. */
export function gallery(pictures) {
  return h("div", { class: `gallery of-${pictures.length}` }, pictures.map((_, n) => h("div", { class: "tile" }, thumbnail(pictures, n))));
}

/** One of several pictures, to be enlarged, with what it shows in words. */
export function thumbnail(pictures, n, props = {}) {
  const { url, name, alt, spoiler: covered } = pictures[n];
  const image = h("img", { src: url, alt: alt ?? name ?? "", ...sizeShown(pictures[n]) });
  const button = h("button", { type: "button", class: "picture", "aria-label": alt ?? name ?? t("attachments"), onclick: () => enlarge(pictures, n), ...props }, image);
  const parts = [button, alt ? described(alt) : null];
  return covered ? spoiler("div", parts) : parts;
}

/** The mark that a picture has a description, which it shows. */
function described(alt) {
  return h("button", { type: "button", class: "alt", "aria-label": t("description"), title: alt, onclick: (event) => openNote(alt, event.currentTarget) }, "ALT");
}

export function fileCard(file) {
  const name = file.filename ?? file.name;
  const card = h("div", { class: "file-card" }, icon("file"), h("a", { href: file.url, target: "_blank", rel: "noopener noreferrer" }, name), file.size ? h("small", {}, bytes(file.size)) : null);
  return !file.covered && hidden({ filename: name }) ? spoiler("div", [card]) : card;
}

/** Show a picture as large as the window; ← and → go through the others, Esc closes. */
export function enlarge(pictures, n) {
  let at = n;
  const image = h("img");
  const caption = h("figcaption");
  const open = h("a", { class: "icon-button", target: "_blank", rel: "noopener noreferrer", "aria-label": t("download"), title: t("download") }, icon("download"));
  const show = (index) => {
    at = (index + pictures.length) % pictures.length;
    const { url, name, alt, width, height } = pictures[at];
    image.src = open.href = url;
    image.alt = alt ?? name ?? "";
    fill(caption, h("span", {}, name), width ? h("small", {}, `${width} × ${height}`) : null);
  };
  const step = (by) => iconButton(by < 0 ? "left" : "right", t(by < 0 ? "previous" : "next"), () => show(at + by), { class: `icon-button ${by < 0 ? "before" : "after"}` });
  const several = pictures.length > 1;
  const dialog = h(
    "dialog",
    {
      class: "lightbox",
      "aria-label": t("attachments"),
      onclose: () => dialog.remove(),
      onclick: (event) => !event.target.closest("img, button, a") && dialog.close(),
      onkeydown: (event) => {
        if (several && event.key === "ArrowLeft") show(at - 1);
        if (several && event.key === "ArrowRight") show(at + 1);
      },
    },
    h("div", { class: "lightbox-tools" }, open, iconButton("close", t("close"), () => dialog.close())),
    several ? step(-1) : null,
    h("figure", {}, image, caption),
    several ? step(1) : null,
  );
  show(n);
  document.body.append(dialog);
  dialog.showModal();
}
