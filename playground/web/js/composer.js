// Where one writes: a message with files, or a slash command.

import { closedBecause, nameOf } from "./channels.js";
import { CommandLine } from "./command_line.js";
import { commandOf, fitting, readOptions, slashCommands } from "./commands.js";
import { packed } from "./client.js";
import { avatar, bytes, fill, h, icon, iconButton } from "./dom.js";
import { SUGGESTING, growing } from "./field.js";
import { Listbox } from "./listbox.js";
import { t } from "./words.js";

export class Composer {
  /** on: {used(command, promise, again)}: shows a command that is on its way; again fills it in anew. */
  constructor(client, on) {
    this._client = client;
    this._on = on;
    this._files = [];
    this._reply = null;
    this._lines = [];
    this._list = new Listbox({ class: "listbox composer-list" });
    this._wrong = h("div", { class: "composer-wrong", role: "alert", hidden: true });
    this._above = h("div", { class: "composer-above", hidden: true });
    this._tray = h("ul", { class: "composer-files", hidden: true });
    this._text = growing({ ...SUGGESTING, class: "composer-text", oninput: () => this._typed(), onkeydown: (e) => this._key(e), onfocus: () => this._typed(), onblur: () => this._list.hide() });
    this._line = new CommandLine(client, this._list, {
      send: (command, values, line) => this._useCommand(command, values, line),
      cancel: () => this.clear(),
      wrong: (text) => this.wrong(text),
    });
    this._picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this._attach([...this._picker.files]) });
    this._add = iconButton("plus", "", () => this._picker.click());
    this._send = h("button", { type: "submit", class: "icon-button send" }, icon("send"));
    this._closed = h("p", { class: "composer-closed", role: "status", hidden: true });
    this._box = h("div", { class: "composer-box" }, this._add, h("div", { class: "composer-fields" }, this._text.element, this._line.element), this._send, this._picker);
    this.element = h("form", { class: "composer", onsubmit: (event) => this._submit(event) }, this._list.element, this._wrong, this._above, this._tray, this._box, this._closed);
    document.addEventListener("paste", (event) => this._pasted(event));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      this._attach([...event.dataTransfer.files]);
    });
  }

  /** Another channel, language or list of commands. */
  show(channel) {
    const moved = channel.id !== this._channel?.id;
    this._channel = channel;
    this._commands = slashCommands(this._client.world.commands, this._client.world.locale, channel);
    if (moved) this.clear();
    const closed = closedBecause(channel);
    this._closed.hidden = !closed;
    fill(this._closed, icon(channel.locked ? "lock" : "forum"), closed);
    this._box.hidden = Boolean(closed);
    const name = t(channel.archived ? "write_archived" : "write", { channel: nameOf(channel) });
    this._text.field.placeholder = name;
    this._text.field.setAttribute("aria-label", name);
    for (const [button, label] of [[this._add, t("attach")], [this._send, t("send")]]) {
      button.setAttribute("aria-label", label);
      button.title = label;
    }
  }

  focus() {
    if (this._line.active) this._line.focus();
    else this._text.field.focus();
  }

  /** Put a line there as if it had been typed. */
  put(text) {
    this._line.end();
    this._textMode(true);
    this._text.set(text);
    this._text.field.focus();
    this._typed();
  }

  /** message: null for no reply any more. */
  replyTo(message) {
    this._reply = message;
    this._above.hidden = !message;
    if (message) {
      const name = this._client.world.member(message.author.id)?.name ?? message.author.username;
      this._above.replaceChildren(h("span", {}, t("replying", { name })), iconButton("close", t("cancel"), () => this.replyTo(null)));
    }
    this.focus();
  }

  /** One sentence above the field; null takes it away. */
  wrong(text) {
    this._wrong.hidden = !text;
    this._wrong.textContent = text ?? "";
  }

  clear() {
    this._line.end();
    this._textMode(true);
    this._text.set("");
    this._files = [];
    this._showFiles();
    this._reply = null;
    this._above.hidden = true;
    this.wrong(null);
    this._list.hide();
    this.focus();
  }

  _textMode(on) {
    this._text.element.hidden = !on;
    this._line.element.hidden = on;
  }

  // Typing.

  _typed() {
    const line = this._text.field.value;
    this.wrong(null);
    if (!line.startsWith("/")) {
      this._list.hide();
      this._list.describe(this._text.field);
      return;
    }
    const found = commandOf(line, this._commands);
    if (found && line.length > found.command.shown.length + 1) {
      const given = readOptions(found.rest, found.command.options);
      this._begin(found.command, given.map(([option, text]) => [option, { text }]));
      return;
    }
    const items = fitting(this._commands, line.slice(1), (c) => c.shown).map((command) => ({
      label: `/${command.shown}`,
      description: command.description,
      note: this._client.world.members.find((m) => m.bot)?.name,
      mark: avatar(this._client.world.members.find((m) => m.bot), "small"),
      pick: () => this._begin(command),
    }));
    this._list.show(t("commands"), items, { active: 0, empty: t("no_command") });
    this._list.describe(this._text.field);
  }

  _begin(command, given = []) {
    this._list.hide();
    this._text.set("");
    this._textMode(false);
    this._line.begin(command, this._channel, given);
    const files = this._files.filter((file) => !this._line.take(file));
    this._files = files;
    this._showFiles();
  }

  _key(event) {
    if (event.isComposing) return;
    const { field } = this._text;
    const listed = this._list.open && this._list.items.length;
    if (listed && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this._list.move(event.key === "ArrowDown" ? 1 : -1);
      this._list.describe(field);
    } else if (listed && (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey))) {
      event.preventDefault();
      this._list.pick();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this._submit(event);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this._list.open) this._list.hide();
      else this.clear();
    } else if (event.key === "ArrowUp" && !field.value && this._lines.length) {
      event.preventDefault();
      this._again(this._lines.at(-1));
    }
  }

  /** Fill the last command in again. */
  _again({ words, given }) {
    const command = this._commands.find((c) => c.words === words);
    if (!command) return;
    const known = given.map(([name, filled]) => [command.options.find((o) => o.name === name), filled]);
    this._begin(command, known.filter(([option]) => option));
  }

  // Files.

  _pasted(event) {
    const files = [...event.clipboardData.files];
    if (!files.length || this._box.hidden || event.target.closest?.("dialog")) return;
    event.preventDefault();
    this._attach(files);
  }

  _attach(files) {
    if (this._box.hidden) return;
    const left = this._line.active ? files.filter((file) => !this._line.take(file)) : files;
    this._files.push(...left);
    this._picker.value = "";
    this._showFiles();
    if (!this._line.active) this.focus();
  }

  _showFiles() {
    const chips = this._files.map((file) =>
      h(
        "li",
        { class: "composer-file" },
        file.type.startsWith("image/") ? h("img", { src: URL.createObjectURL(file), alt: "" }) : icon("file"),
        h("span", {}, file.name, h("small", {}, bytes(file.size))),
        iconButton("close", t("remove", { name: file.name }), () => {
          this._files = this._files.filter((other) => other !== file);
          this._showFiles();
        }),
      ),
    );
    this._tray.replaceChildren(...chips);
    this._tray.setAttribute("aria-label", t("files_there"));
    this._tray.hidden = !chips.length;
  }

  // Sending.

  async _submit(event) {
    event.preventDefault();
    if (this._line.active) return this._line.submit();
    const text = mentioning(this._text.field.value, this._client.world.members);
    const [files, reply] = [this._files, this._reply];
    if (!text.trim() && !files.length) return;
    // At once: what is typed meanwhile is the next message.
    this.clear();
    try {
      await this._client.act("say", { channel: this._channel.id, text, reply_to: reply?.id, files: await Promise.all(files.map(packed)) });
    } catch (error) {
      this._text.set(text);
      this._files = files;
      this._showFiles();
      this.wrong(error.kind === "lost" ? t("ended") : t("refused", { text: error.message }));
    }
  }

  _useCommand(command, options, line) {
    const channel = this._channel;
    this._lines.push(line);
    this.clear();
    this._on.used(command, this._client.act("slash", { channel: channel.id, command: command.words, options }), () => this._again(line));
  }
}

/** `@Name` as the API writes it. */
function mentioning(text, members) {
  const named = (name) => members.find((member) => member.name === name);
  return text.replace(/(?<![\w@])@([\p{L}\p{N}_]+)/gu, (written, name) => (named(name) ? `<@${named(name).id}>` : written));
}
