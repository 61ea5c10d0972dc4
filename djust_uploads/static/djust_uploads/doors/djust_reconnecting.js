// How djust's client reconnects while uploads wait for it. djust itself gives up after ten attempts.
// Only what its own code sets and calls is touched: `enabled`, `reconnectAttempts`, `connect()`.

import { Presses } from "./presses.js";
import { abandon, offline } from "../wire/network.js";
import { CALM, Pulse, URGENT } from "../wire/pulse.js";

// A later attempt waits no longer: djust's delay has reached its bound of 30 seconds.
const LAST_ATTEMPT = 6;

const INTERVAL = 1000;

export class Reconnecting {
  #uploads;
  #held = null;
  #url;
  #presses = new Presses();

  constructor(uploads) {
    this.#uploads = uploads;
  }

  start() {
    window.addEventListener("online", () => this.#online());
    window.addEventListener("offline", () => this.#offline());
    for (const type of ["click", "submit"]) {
      window.addEventListener(type, (event) => this.#pressed(event), true);
    }
    setInterval(() => this.#persist(), INTERVAL);
  }

  /** Called with each socket on which a view was mounted. */
  watch(socket) {
    // djust still handles the message that told of it.
    if (this.#url) setTimeout(() => this.#presses.release());
    this.#url = socket.url;
    socket.addEventListener("close", () => this.#hold());
    new Pulse(socket, () => this.#pace());
  }

  /** Without a connection, djust drops what is pressed. */
  #pressed(event) {
    const attribute = event.type === "click" ? "dj-click" : "dj-submit";
    const element = event.target.closest?.(`[${attribute}]`);
    if (!element || !this.#lost) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const { submitter } = event;
    this.#presses.hold(element, () => {
      if (event.type === "click") element.click();
      else element.requestSubmit(submitter?.form === element ? submitter : null);
    });
  }

  /** Whether there was a connection, and djust is about to make another one. */
  get #lost() {
    const client = instance();
    if (!this.#url || !client || !(client.enabled || client === this.#held)) return false;
    return client.ws?.readyState !== WebSocket.OPEN || !client.viewMounted;
  }

  /** Without uploads the connection is djust's alone. A running event may keep it silent. */
  #pace() {
    if (this.#uploads.resumable) return instance().lastEventName ? CALM : URGENT;
    return this.#uploads.fragile ? CALM : null;
  }

  #offline() {
    if (!this.#uploads.resumable || this.#uploads.fragile) return;
    if (instance().ws) abandon(instance().ws);
    this.#hold();
  }

  /** No attempts without a network: they would only use up the ten. */
  #hold() {
    if (!offline() || !instance().enabled) return;
    this.#held = instance();
    this.#held.enabled = false;
  }

  #online() {
    const held = this.#held;
    this.#held = null;
    if (!held || held !== instance()) return;
    held.enabled = true;
    held.reconnectAttempts = 0;
    held.connect(this.#url);
  }

  #persist() {
    const client = instance();
    if (!this.#uploads.resumable || !client?.reconnectAttempts) return;
    client.reconnectAttempts = Math.min(LAST_ATTEMPT, client.reconnectAttempts);
  }
}

function instance() {
  return window.djust.liveViewInstance;
}
