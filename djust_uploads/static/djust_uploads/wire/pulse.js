// Notices a connection that died without a word.

import { abandon } from "./network.js";

const INTERVAL = 1000;

// Milliseconds: of silence, after which the other side is asked for a sign of life, and that it may
// take to give one.
export const CALM = { silence: 20_000, patience: 60_000 };
export const URGENT = { silence: 3_000, patience: 7_000 };

// Milliseconds that connecting may take.
const LONGEST_CONNECTING = 15_000;

// So many times the patience at most, where it was too little before.
const MOST_SLACK = 8;

/**
 * Watches one socket until it closes. `pace()` says how urgently: CALM, URGENT, or null for not at
 * all.
 */
export class Pulse {
  // A link that is slower than thought looks dead, too. Each time it is trusted longer.
  static #slack = 1;

  #socket;
  #pace;
  #heardAt = performance.now();
  #askedAt = null;
  #buffered = 0;

  constructor(socket, pace) {
    this.#socket = socket;
    this.#pace = pace;
    const timer = setInterval(() => this.#beat(), INTERVAL);
    socket.addEventListener("message", () => this.#heard());
    socket.addEventListener("close", () => clearInterval(timer));
  }

  #heard() {
    this.#heardAt = performance.now();
    this.#askedAt = null;
  }

  #beat() {
    const { bufferedAmount } = this.#socket;
    // What was waiting to be sent goes out: the link is only slow.
    if (bufferedAmount < this.#buffered) this.#heard();
    this.#buffered = bufferedAmount;
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#beatConnecting();
    if (this.#socket.readyState === WebSocket.OPEN) this.#beatOpen(performance.now(), this.#pace());
  }

  #beatConnecting() {
    if (performance.now() - this.#heardAt >= LONGEST_CONNECTING) abandon(this.#socket);
  }

  #beatOpen(now, pace) {
    if (!pace) return;
    if (this.#askedAt === null && now - this.#heardAt >= pace.silence) this.#ask(now);
    // Counted from the question: in a hidden tab beats are rare, and silence alone says nothing.
    if (this.#askedAt !== null && now - this.#askedAt >= pace.patience * Pulse.#slack) {
      Pulse.#slack = Math.min(MOST_SLACK, Pulse.#slack * 2);
      abandon(this.#socket);
    }
  }

  #ask(now) {
    this.#askedAt = now;
    this.#socket.send(JSON.stringify({ type: "ping" }));
  }
}
