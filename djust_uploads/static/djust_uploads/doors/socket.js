// The connection of a page without djust: reconnects, sends events, passes on what is pushed.

import { gettext, pageLanguage } from "../texts/catalogue.js";
import { abandon, offline } from "../wire/network.js";
import { CALM, Pulse, URGENT } from "../wire/pulse.js";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;

export class Socket {
  #url;
  #uploads;
  #socket = null;
  #delay = FIRST_DELAY;
  #timer = 0;
  #lastRef = 0;
  #answers = new Map();

  constructor(path, uploads) {
    this.#url = new URL(path, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#uploads = uploads;
  }

  start() {
    this.#connect();
    window.addEventListener("online", () => this.#online());
    window.addEventListener("offline", () => this.#offline());
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("submit", (event) => this.#submitted(event));
  }

  /** Resolves with nothing when the handler returned; rejects with what the page may say. */
  sendEvent(event, params = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error(gettext("The connection is lost. Please wait a moment.")));
    }
    const ref = ++this.#lastRef;
    this.#socket.send(JSON.stringify({ type: "event", event, params, ref, language: pageLanguage() }));
    return new Promise((resolve, reject) => this.#answers.set(ref, { resolve, reject }));
  }

  #connect() {
    clearTimeout(this.#timer);
    if (this.#socket && this.#socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#uploads.connect(socket);
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#closed();
    });
    new Pulse(socket, () => this.#pace());
  }

  /** A handler that runs keeps the server from answering anything else. */
  #pace() {
    return this.#uploads.resumable && !this.#answers.size ? URGENT : CALM;
  }

  #online() {
    this.#delay = FIRST_DELAY;
    this.#connect();
  }

  /** What can't be resumed is left to TCP, which survives a short time without a network. */
  #offline() {
    if (!this.#uploads.fragile && !this.#answers.size) abandon(this.#socket);
  }

  #receive(message) {
    if (message.type === "mount") this.#mounted(message);
    if (message.type === "push_event") {
      const { event, payload } = message;
      dispatch("djust:push_event", { event, payload });
    }
    const answer = this.#answers.get(message.ref);
    if (answer && ["noop", "error"].includes(message.type)) {
      this.#answers.delete(message.ref);
      if (message.type === "noop") answer.resolve();
      else answer.reject(new Error(message.error));
    }
  }

  #mounted(message) {
    this.#delay = FIRST_DELAY;
    document.body.classList.remove("dj-disconnected");
    document.body.classList.add("dj-connected");
    this.#uploads.setSlots(message.upload_configs);
  }

  #closed() {
    document.body.classList.remove("dj-connected");
    document.body.classList.add("dj-disconnected");
    const error = new Error(gettext("The connection was lost."));
    for (const { reject } of this.#answers.values()) reject(error);
    this.#answers.clear();
    clearTimeout(this.#timer);
    if (offline()) return; // until #online()
    // Jitter: a restarted server must not meet all its pages in the same moment.
    this.#timer = setTimeout(() => this.#connect(), this.#delay * (0.5 + Math.random()));
    this.#delay = Math.min(LONGEST_DELAY, this.#delay * 2);
  }

  #clicked(event) {
    const element = event.target.closest("[dj-click]");
    if (!element) return;
    event.preventDefault();
    this.#call(element, element.getAttribute("dj-click"), values(element));
  }

  #submitted(event) {
    const form = event.target.closest("[dj-submit]");
    if (!form) return;
    event.preventDefault();
    this.#call(form, form.getAttribute("dj-submit"), fields(form, event.submitter));
  }

  async #call(element, name, params) {
    element.setAttribute("aria-busy", "true");
    try {
      await this.sendEvent(name, params);
    } catch (error) {
      dispatch("djust:error", { event: name, error: error.message });
    } finally {
      element.removeAttribute("aria-busy");
    }
  }
}

/** The text fields, the pressed button included; a name that occurs again has a list. */
function fields(form, submitter) {
  const data = new FormData(form, submitter);
  const texts = Array.from(new Set(data.keys()), (name) => {
    const values = data.getAll(name).filter((value) => typeof value === "string");
    return [name, values.length === 1 ? values[0] : values];
  });
  return Object.fromEntries(texts.filter(([, value]) => value.length || value === ""));
}

/** dj-value-photo-id="3" as {photo_id: "3"}. */
function values(element) {
  const prefix = "dj-value-";
  const attributes = Array.from(element.attributes).filter(({ name }) => name.startsWith(prefix));
  return Object.fromEntries(attributes.map(({ name, value }) => {
    return [name.slice(prefix.length).replaceAll("-", "_"), value];
  }));
}

function dispatch(type, detail) {
  window.dispatchEvent(new CustomEvent(type, { detail }));
}
