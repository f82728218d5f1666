// What the page knows, and its way to the server.

const AGAIN = 1000; // ms until the server is tried again

/** A call that did not work out. kind: refused, silent (the bot did not answer) or lost (the server). */
export class ActError extends Error {
  constructor(kind, text) {
    super(text);
    this.kind = kind;
  }
}

/** The world as the server tells it, with ways to look things up. */
class World {
  constructor(data) {
    Object.assign(this, data);
    this._members = new Map(data.members.map((member) => [member.id, member]));
  }
  member(id) {
    return this._members.get(id);
  }
  role(id) {
    return this.roles.find((role) => role.id === id);
  }
  channel(id) {
    return this.channels.find((channel) => channel.id === id);
  }
  get self() {
    return this.member(this.me);
  }
}

/** Events: world, message (detail: the message), gone (detail: its id), begin, connection. */
export class Client extends EventTarget {
  constructor() {
    super();
    this.world = null;
    this.messages = new Map();
    this.connected = true;
    this.examples = [];
  }

  /** Begin, or begin again with a server that was started anew: its people have other ids. */
  async start() {
    try {
      const { people, examples } = await (await fetch("/api/start")).json();
      this.examples = examples;
      this.become(people[0]);
    } catch {
      setTimeout(() => this.start(), AGAIN);
    }
  }

  /** Act as another of the people, and see what that one sees. */
  become(id) {
    this._source?.close();
    this._me = id;
    const source = new EventSource(`/api/events?as=${id}`);
    this._source = source;
    const on = (name, action) => source.addEventListener(name, (event) => action(event.data && JSON.parse(event.data)));
    on("open", () => this._connection(true));
    on("error", () => {
      this._connection(false);
      // While the server is away the browser tries by itself; this one sent us away.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.start(), AGAIN);
    });
    on("begin", () => {
      this.messages.clear();
      this._tell("begin");
    });
    on("world", (data) => {
      this.world = new World(data);
      this._tell("world");
    });
    on("message", (data) => {
      this.messages.set(data.id, data);
      this._tell("message", data);
    });
    on("gone", ({ id }) => {
      this.messages.delete(id);
      this._tell("gone", id);
    });
  }

  _connection(up) {
    if (up === this.connected) return;
    this.connected = up;
    this._tell("connection");
  }

  _tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Do something as the present person; ActError when it cannot be. */
  async act(name, body) {
    let response;
    try {
      response = await fetch(`/api/${name}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ as: this._me, ...body }),
      });
    } catch {
      throw new ActError("lost", "");
    }
    const answer = await response.json().catch(() => ({ error: "lost", text: response.statusText }));
    if (answer.error) throw new ActError(answer.error, answer.text);
    return answer;
  }
}

/** A file as the server takes it. */
export async function packed(file) {
  const data = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return { name: file.name, data: data.slice(data.indexOf(",") + 1) };
}
