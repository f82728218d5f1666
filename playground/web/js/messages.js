// The messages of a channel, as they come and change.

import { beginningOf, isForum, markOf, nameOf } from "./channels.js";
import { fill, h, icon } from "./dom.js";
import { messageElement } from "./message.js";
import { commandOf, slashCommands } from "./commands.js";
import { plain } from "./markdown.js";
import { t } from "./words.js";

const NEAR = 80; // px from the end that still count as being there
const TOGETHER = 7 * 60_000; // ms in which messages of one author stand under one name

/** Snowflakes, the older first. They are too long for numbers. */
export const older = (a, b) => a.length - b.length || (a < b ? -1 : Number(a > b));

export class MessageList {
  /** on: what a message offers, see message.js; try(line) for an example, channel(id) for a post. */
  constructor(client, on) {
    this._client = client;
    this._on = { ...on, dismiss: (id) => this._dismiss(id), jump: (id) => this._jump(id) };
    this._dismissed = new Set();
    this._failed = new Map();
    this._order = [];
    this._start = h("div", { class: "beginning" });
    this._list = h("ol", { class: "messages", onkeydown: (event) => this._key(event) });
    this._pending = h("ol", { class: "messages pending" });
    this._down = h("button", { type: "button", class: "to-newest", hidden: true, onclick: () => this._toEnd() }, icon("down"), h("span"));
    this._scroller = h("div", { class: "scroller", role: "log", "aria-live": "polite", onscroll: () => this._scrolled() }, this._start, this._list, this._pending);
    this.element = h("div", { class: "conversation" }, this._scroller, this._down);
    // Pictures and a smaller window change what "the end" is.
    const resized = new ResizeObserver(() => this._atEnd && this._toEnd());
    for (const element of [this._scroller, this._start, this._list, this._pending]) resized.observe(element);
    this._atEnd = true;
  }

  /** Everything anew: another channel, person or language. */
  show(channel) {
    if (channel.id !== this._channel?.id) this._pending.replaceChildren();
    this._channel = channel;
    this._scroller.setAttribute("aria-label", nameOf(channel));
    this._down.lastChild.textContent = t("newest");
    this._order = [...this._client.messages.values()].filter((m) => this._shows(m)).map((m) => m.id).sort(older);
    this._list.replaceChildren(...this._order.map((id, n) => this._element(id, n)));
    this.welcome();
    this._toEnd();
  }

  /** What stands above the first message. */
  welcome() {
    const { world, examples } = this._client;
    const commands = slashCommands(world.commands, world.locale, this._channel);
    const known = this._order.length || !this._channel.can_send ? [] : examples.filter((line) => commandOf(line, commands));
    const posts = isForum(this._channel) ? world.channels.filter((entry) => entry.parent === this._channel.id) : [];
    fill(
      this._start,
      h("span", { class: "beginning-mark" }, markOf(this._channel, world)),
      h("h2", {}, beginningOf(this._channel)),
      h("p", {}, t("welcome")),
      posts.length ? h("ul", { class: "posts" }, posts.map((post) => h("li", {}, this._post(post)))) : null,
      known.length ? h("p", { class: "beginning-try" }, t("try")) : null,
      known.map((line) => h("button", { type: "button", class: "example", onclick: () => this._on.try(line) }, line)),
    );
  }

  /** A post of a forum: what it is called, and how it begins. */
  _post(post) {
    const [first] = [...this._client.messages.values()].filter((m) => m.channel_id === post.id).sort((a, b) => older(a.id, b.id));
    return h("button", { type: "button", class: "post", onclick: () => this._on.channel(post.id) }, h("strong", {}, post.name), first ? h("span", {}, plain(first.content)) : null);
  }

  /** A message that is new, or changed. */
  put(message) {
    if (!this._shows(message)) return;
    this._failed.delete(message.id);
    this._keepingPlace(() => {
      let at = this._order.indexOf(message.id);
      if (at >= 0) this._redraw(at);
      else {
        at = this._order.findLastIndex((id) => older(id, message.id) < 0) + 1;
        this._order.splice(at, 0, message.id);
        this._list.insertBefore(this._element(message.id, at), this._list.children[at] ?? null);
        if (this._order.length === 1) this.welcome();
      }
      // Its head depends on what is before it.
      if (at + 1 < this._order.length) this._redraw(at + 1);
    });
  }

  remove(id) {
    const at = this._order.indexOf(id);
    if (at < 0) return;
    this._order.splice(at, 1);
    this._list.children[at].remove();
    if (at < this._order.length) this._redraw(at);
    if (!this._order.length) this.welcome();
  }

  /** Show under a message that an act on it failed. */
  fail(id, text) {
    this._failed.set(id, text);
    const at = this._order.indexOf(id);
    if (at >= 0) this._keepingPlace(() => this._redraw(at));
  }

  /** A line at the end for as long as `promise` takes; what is shown if it fails is `explain(error)`. */
  async wait(element, promise, explain) {
    this._pending.append(element);
    this._toEnd();
    try {
      await promise;
      element.remove();
    } catch (error) {
      element.replaceWith(explain(error));
      this._toEnd();
    }
  }

  _shows(message) {
    return message.channel_id === this._channel?.id && !this._dismissed.has(message.id);
  }

  _element(id, at) {
    const message = this._client.messages.get(id);
    const before = this._client.messages.get(this._order[at - 1]);
    const place = {
      head: !before || before.author.id !== message.author.id || Date.parse(message.timestamp) - Date.parse(before.timestamp) > TOGETHER || Boolean((before.flags ^ message.flags) & 64),
      day: !before || new Date(before.timestamp).toDateString() !== new Date(message.timestamp).toDateString(),
      failed: this._failed.get(id),
    };
    return messageElement(message, this._client.world, this._on, place);
  }

  _redraw(at) {
    const old = this._list.children[at];
    const element = this._element(this._order[at], at);
    // A picture that stays is not loaded again, and what was uncovered stays so.
    const images = new Map([...old.querySelectorAll("img")].map((image) => [image.getAttribute("src"), image]));
    for (const image of element.querySelectorAll("img")) {
      const same = images.get(image.getAttribute("src"));
      if (!same?.complete) continue;
      images.delete(image.getAttribute("src")); // the same picture may be shown twice
      same.alt = image.alt;
      image.replaceWith(same);
    }
    const covers = [...old.querySelectorAll(".spoiler")];
    [...element.querySelectorAll(".spoiler")].filter((_, n) => covers[n]?.classList.contains("open")).forEach((cover) => cover.click());
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(element);
    if (focused === old) element.focus();
    else if (focused) (element.querySelector(`[data-key="${CSS.escape(focused.dataset.key ?? "")}"]`) ?? element).focus();
  }

  _dismiss(id) {
    this._dismissed.add(id);
    this.remove(id);
  }

  _jump(id) {
    const element = this._list.children[this._order.indexOf(id)];
    if (!element) return;
    element.scrollIntoView({ block: "center" });
    element.classList.add("found");
    element.addEventListener("animationend", () => element.classList.remove("found"), { once: true });
    element.focus({ preventScroll: true });
  }

  /** ↑ and ↓ go from message to message. */
  _key(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const at = [...this._list.children].indexOf(document.activeElement);
    if (!by || at < 0) return;
    event.preventDefault();
    this._list.children[at + by]?.focus();
  }

  // Where it is scrolled to.

  _keepingPlace(change) {
    const atEnd = this._atEnd;
    change();
    if (atEnd) this._toEnd();
  }

  _toEnd() {
    this._scroller.scrollTop = this._scroller.scrollHeight;
    this._scrolled();
  }

  _scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this._scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR;
    // Only going up leaves the end: what grows or wraps anew is followed.
    if (near || scrollTop < this._top) this._atEnd = near;
    this._top = scrollTop;
    this._down.hidden = this._atEnd;
  }
}
