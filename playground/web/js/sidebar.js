// Beside the conversation: the channels, and who one is.

import { markOf } from "./channels.js";
import { avatar, fill, h, icon, iconButton } from "./dom.js";
import { t } from "./words.js";

export class Sidebar {
  /** on: {channel(id), become(id), locale(id), theme(), theme_name()}. */
  constructor(client, on) {
    this._client = client;
    this._on = on;
    this._unread = new Map();
    this.element = h("nav", { class: "sidebar", id: "sidebar" });
  }

  focus() {
    this.element.querySelector("[aria-current]")?.focus();
  }

  /** Something was written in a channel that is not shown. pinged: to the present person. */
  heard(id, pinged) {
    this._unread.set(id, (this._unread.get(id) ?? 0) + Number(pinged));
  }

  show(channel) {
    const { world } = this._client;
    this._unread.delete(channel.id);
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.element.setAttribute("aria-label", world.guild.name);
    fill(
      this.element,
      h("header", {}, h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }), h("strong", {}, world.guild.name)),
      h("div", { class: "places" }, this._places(t("channels"), world.channels.filter((entry) => entry.guild === world.guild.id), channel, true), foreign(world).map(([name, entries]) => this._places(name, entries, channel)), this._places(t("direct"), world.channels.filter((entry) => entry.private), channel)),
      h("section", { class: "people" }, h("h2", {}, t("people")), h("div", { role: "group", "aria-label": t("people") }, world.people.map((id) => this._person(world.member(id))))),
      h("footer", {}, this._languages(), iconButton("theme", t("appearance", { name: t(this._on.theme_name()) }), () => this._on.theme(), { data: { key: "theme" } })),
    );
    if (focused) this.element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  _places(title, entries, current, silent = false) {
    if (!entries.length) return null;
    const list = h("ul", { class: "channels", "aria-label": title }, entries.map((entry) => h("li", {}, this._channel(entry, current))));
    return silent ? list : [h("h2", { "aria-hidden": "true" }, title), list];
  }

  _channel(entry, current) {
    const pings = this._unread.get(entry.id);
    const classes = ["channel", pings !== undefined && "unread", entry.parent && "thread", entry.archived && "archived"].filter(Boolean).join(" ");
    const state = entry.locked ? "locked" : entry.archived ? "archived" : null;
    return h(
      "button",
      { type: "button", class: classes, "aria-current": entry.id === current.id ? "page" : null, data: { key: `channel-${entry.id}` }, onclick: () => this._on.channel(entry.id) },
      markOf(entry, this._client.world),
      h("span", { class: "channel-title" }, entry.name),
      state ? h("span", { class: "state", role: "img", title: t(state), "aria-label": t(state) }, icon(entry.locked ? "lock" : "archive")) : null,
      entry.nsfw ? h("span", { class: "adult", title: t("age_restricted"), "aria-label": t("age_restricted") }, "18+") : null,
      pings ? h("span", { class: "pings", "aria-label": t("pings", { count: pings }) }, pings) : null,
    );
  }

  _person(member) {
    const mine = member.id === this._client.world.me;
    return h(
      "button",
      { type: "button", class: "person", "aria-pressed": String(mine), data: { key: `person-${member.id}` }, onclick: () => this._on.become(member.id) },
      avatar(member, "small"),
      h("span", {}, member.name),
      mine ? h("small", {}, t("you")) : null,
    );
  }

  _languages() {
    const { locales, locale } = this._client.world;
    const option = ({ id }) => h("option", { value: id }, nameOf(id));
    const groups = [true, false].map((translated) => h("optgroup", { label: t(translated ? "languages_own" : "languages_other") }, locales.filter((entry) => entry.translated === translated).map(option)));
    const field = h("select", { "aria-label": t("language"), title: t("language"), data: { key: "language" }, onchange: () => this._on.locale(field.value) }, groups);
    field.value = locale;
    return field;
  }
}

/** The channels of the servers that the bot is not in, by server. */
function foreign(world) {
  const servers = new Map();
  for (const entry of world.channels) {
    if (entry.guild && entry.guild !== world.guild.id) servers.set(entry.place, [...(servers.get(entry.place) ?? []), entry]);
  }
  return [...servers];
}

function nameOf(locale) {
  const name = new Intl.DisplayNames([locale], { type: "language" }).of(locale);
  return name.charAt(0).toLocaleUpperCase(locale) + name.slice(1);
}
