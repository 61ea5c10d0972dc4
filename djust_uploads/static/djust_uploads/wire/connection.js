// The connection to a consumer: reconnects, sends events, and hears what is pushed. No DOM.

import { gettext, pageLanguage } from "../texts/catalogue.js";
import { abandon, offline } from "./network.js";
import { CALM, Pulse, URGENT } from "./pulse.js";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;

/**
 * Fires "mounted" when the consumer has declared its slots, "lost" when the connection has ended,
 * "push" with what the consumer pushed, `{event, payload}`, and "refused" with the sentence that says
 * why the consumer closes the connection.
 */
export class Connection extends EventTarget {
  #url;
  #uploads;
  #socket = null;
  #delay = FIRST_DELAY;
  #timer = 0;
  #lastRef = 0;
  #answers = new Map();
  #closed = false;
  #listening = new AbortController();

  /** `url` may be a path of this page's host. */
  constructor(url, uploads) {
    super();
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#uploads = uploads;
  }

  start() {
    this.#connect();
    const { signal } = this.#listening;
    globalThis.addEventListener?.("online", () => this.#online(), { signal });
    globalThis.addEventListener?.("offline", () => this.#offline(), { signal });
  }

  /** End the connection for good. */
  close() {
    this.#closed = true;
    this.#listening.abort();
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Resolves with nothing when the handler returned; rejects with what the page may say. */
  sendEvent(event, params = {}) {
    if (!this.open) {
      return Promise.reject(new Error(gettext("The connection is lost. Please wait a moment.")));
    }
    const ref = ++this.#lastRef;
    const language = pageLanguage();
    this.#socket.send(JSON.stringify({ type: "event", event, params, ref, language }));
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
      if (socket === this.#socket) this.#lost();
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
      this.dispatchEvent(new CustomEvent("push", { detail: { event, payload } }));
    }
    if (message.code === "session_ended" && message.type === "error") {
      this.dispatchEvent(new CustomEvent("refused", { detail: message.error }));
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
    this.#uploads.setSlots(message.upload_configs);
    this.dispatchEvent(new Event("mounted"));
  }

  #lost() {
    const error = new Error(gettext("The connection was lost."));
    for (const { reject } of this.#answers.values()) reject(error);
    this.#answers.clear();
    clearTimeout(this.#timer);
    this.dispatchEvent(new Event("lost"));
    if (this.#closed || offline()) return; // until #online()
    // Jitter: a restarted server must not meet all its pages in the same moment.
    this.#timer = setTimeout(() => this.#connect(), this.#delay * (0.5 + Math.random()));
    this.#delay = Math.min(LONGEST_DELAY, this.#delay * 2);
  }
}
