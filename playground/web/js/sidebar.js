// Beside the conversation: the channels, and who one is.

import { avatar, fill, h, icon, iconButton } from "./dom.js";
import { t } from "./words.js";

export class Sidebar {
  /** on: {channel(id), become(id), locale(id), theme(), theme_name()}. */
  constructor(client, on) {
    this._client = client;
    this._on = on;
    this.unread = new Set();
    this.element = h("nav", { class: "sidebar", id: "sidebar" });
  }

  show(channel) {
    const { world } = this._client;
    this.unread.delete(channel.id);
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.element.setAttribute("aria-label", world.guild.name);
    fill(
      this.element,
      h("header", {}, h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }), h("strong", {}, world.guild.name)),
      h("ul", { class: "channels", "aria-label": t("channels") }, world.channels.map((entry) => h("li", {}, this._channel(entry, channel)))),
      h("section", { class: "people" }, h("h2", {}, t("people")), h("div", { role: "group", "aria-label": t("people") }, world.people.map((id) => this._person(world.member(id))))),
      h("footer", {}, this._languages(), iconButton("theme", t("appearance", { name: t(this._on.theme_name()) }), () => this._on.theme(), { data: { key: "theme" } })),
    );
    if (focused) this.element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  _channel(entry, current) {
    const classes = ["channel", this.unread.has(entry.id) && "unread", entry.parent && "thread"].filter(Boolean).join(" ");
    return h(
      "button",
      { type: "button", class: classes, "aria-current": entry.id === current.id ? "page" : null, data: { key: `channel-${entry.id}` }, onclick: () => this._on.channel(entry.id) },
      icon("hash"),
      h("span", {}, entry.name),
      entry.nsfw ? h("span", { class: "adult", title: t("age_restricted"), "aria-label": t("age_restricted") }, "18+") : null,
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

function nameOf(locale) {
  const name = new Intl.DisplayNames([locale], { type: "language" }).of(locale);
  return name.charAt(0).toLocaleUpperCase(locale) + name.slice(1);
}
