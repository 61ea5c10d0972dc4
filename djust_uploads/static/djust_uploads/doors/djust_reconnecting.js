// How djust's client reconnects while uploads wait for it. djust itself gives up after ten attempts.
// Only what its own code sets and calls is touched: `enabled`, `reconnectAttempts`, `connect()`.

import { abandon, offline } from "../wire/network.js";
import { CALM, Pulse, URGENT } from "../wire/pulse.js";

// A later attempt waits no longer: djust's delay has reached its bound of 30 seconds.
const LAST_ATTEMPT = 6;

const INTERVAL = 1000;

export class Reconnecting {
  #uploads;
  #held = null;
  #url;

  constructor(uploads) {
    this.#uploads = uploads;
  }

  start() {
    window.addEventListener("online", () => this.#online());
    window.addEventListener("offline", () => this.#offline());
    setInterval(() => this.#persist(), INTERVAL);
  }

  /** Called with each socket on which a view was mounted. */
  watch(socket) {
    this.#url = socket.url;
    socket.addEventListener("close", () => this.#hold());
    new Pulse(socket, () => this.#pace());
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
