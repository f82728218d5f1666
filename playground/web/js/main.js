// Puts the parts together.

import { markOf, nameOf } from "./channels.js";
import { ActError, Client } from "./client.js";
import { Composer } from "./composer.js";
import { fill, h, iconButton } from "./dom.js";
import { openForm } from "./forms.js";
import { failedElement, pendingElement, pings } from "./message.js";
import { MessageList } from "./messages.js";
import { Sidebar } from "./sidebar.js";
import * as theme from "./theme.js";
import { tick } from "./time.js";
import { speak, t } from "./words.js";

const started = Date.now();
const client = new Client();
let channel = null;

const explain = (error) => {
  if (!(error instanceof ActError)) throw error;
  return { silent: t("silent"), lost: t("ended") }[error.kind] ?? t("refused", { text: error.message });
};

/** Do something to a message; what fails is said under it, and a form that comes back is shown. */
async function act(message, name, body) {
  try {
    answered(await client.act(name, body));
  } catch (error) {
    list.fail(message.id, explain(error));
  }
}

function answered({ form, interaction }) {
  if (form) openForm(form, client.world, (values) => client.act("submit", { form: interaction, values }));
}

const list = new MessageList(client, {
  reply: (message) => composer.replyTo(message),
  react: (message, emoji, add) => act(message, add ? "react" : "unreact", { message: message.id, emoji }),
  click: (message, component) => act(message, "click", { message: message.id, component }),
  select: (message, component, values) => act(message, "select", { message: message.id, component, values }),
  delete: (message) => act(message, "delete", { message: message.id }),
  menu: (name, target) => used(name, client.act("menu", { name, ...target }), () => {}),
  try: (line) => composer.put(line),
  channel: (id) => go(id),
});

function used(command, promise, again) {
  list.wait(pendingElement(client.world, command), promise.then(answered), (error) => failedElement(client.world, command, explain(error), again));
}

const composer = new Composer(client, { used: (command, promise, again) => used(command.shown, promise, again) });

const sidebar = new Sidebar(client, {
  channel: (id) => go(id),
  become: (id) => client.become(id),
  locale: (locale) => client.act("locale", { locale }),
  theme: () => {
    theme.change();
    sidebar.show(channel);
  },
  theme_name: theme.name,
});

const heading = h("h1", { class: "channel-name" });
const status = h("p", { class: "status", role: "status" });
const menu = iconButton("menu", "", () => drawer(!document.body.classList.contains("drawer")), { class: "icon-button menu-button", "aria-controls": "sidebar", "aria-expanded": "false" });
const lost = h("p", { class: "lost", role: "alert", hidden: true });
const main = h("main", {}, h("header", { class: "top" }, menu, heading, status), lost, list.element, composer.element);

/** On a narrow screen the channels are behind a button. */
function drawer(open) {
  if (open === document.body.classList.contains("drawer")) return;
  document.body.classList.toggle("drawer", open);
  menu.setAttribute("aria-expanded", String(open));
  if (open) sidebar.focus();
  else menu.focus();
}

function go(id) {
  channel = client.world.channel(id);
  drawer(false);
  show();
}

/** Draw everything: at the start, and for another channel, person or language. */
function show() {
  fill(heading, markOf(channel, client.world), h("span", {}, channel.name), channel.nsfw ? h("span", { class: "adult" }, t("age_restricted")) : null);
  document.title = `${nameOf(channel)} · ${client.world.guild.name}`;
  menu.setAttribute("aria-label", t("channels"));
  main.setAttribute("aria-label", nameOf(channel));
  sidebar.show(channel);
  composer.show(channel);
  list.show(channel);
}

function showStatus() {
  const { world } = client;
  const { name } = world.members.find((member) => member.bot);
  // Online is who can be asked something: the commands come a moment after the connection.
  const ready = world.online && world.commands.length > 0;
  status.className = `status ${ready ? "on" : ""}`;
  status.textContent = t(ready ? "online" : "offline", { name });
}

let drawn = "";
client.addEventListener("world", () => {
  const { world } = client;
  speak(world.locale);
  showStatus();
  channel = world.channel(channel?.id) ?? world.channels[0];
  const now = JSON.stringify([world.me, world.locale]);
  if (now !== drawn) {
    drawn = now;
    show();
    return;
  }
  sidebar.show(channel);
  composer.show(channel);
  list.welcome();
});
client.addEventListener("begin", () => {
  if (client.world) list.show(channel);
});
client.addEventListener("message", ({ detail: message }) => {
  list.put(message);
  if (message.channel_id !== channel.id && Date.parse(message.timestamp) > started) {
    sidebar.heard(message.channel_id, pings(message, client.world));
    sidebar.show(channel);
  }
});
client.addEventListener("gone", ({ detail: id }) => list.remove(id));
client.addEventListener("connection", () => {
  lost.hidden = client.connected;
  lost.textContent = t("ended");
});

document.addEventListener("keydown", (event) => event.key === "Escape" && drawer(false));

// Typing anywhere is typing a message.
document.addEventListener("keydown", (event) => {
  const free = !event.target.closest("input, textarea, select, dialog, [role=menu]");
  if (free && event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) composer.focus();
});
document.addEventListener("click", (event) => {
  const command = event.target.closest("[data-command]");
  if (command) composer.put(`/${command.dataset.command}`);
  if (document.body.classList.contains("drawer") && !event.target.closest(".sidebar, .menu-button")) drawer(false);
});

theme.begin();
document.body.append(sidebar.element, main);
setInterval(tick, 1000);
await client.start();
