// A WebSocket with a short queue: what waits in the browser's buffer delays every event behind it.

const LEAST = 64 * 1024;
const MOST = 16 * 1024 * 1024;

// Milliseconds of sending that may wait in the buffer.
const PATIENCE = 100;

// Milliseconds between two looks at the buffer, at least.
const TICK = 4;

export class Line {
  #socket;
  #highWater = 256 * 1024;
  #rate = 0; // bytes in a millisecond, as far as is known
  #wake = new Set();

  constructor(socket) {
    this.#socket = socket;
    // Timers are slowed to one a second in a hidden tab; messages are not.
    for (const type of ["message", "close"]) {
      socket.addEventListener(type, () => this.#wakeAll());
    }
  }

  get open() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  send(data) {
    if (this.open) this.#socket.send(data);
  }

  sendMessage(message) {
    this.send(JSON.stringify(message));
  }

  /** Resolves when the buffer is short enough for more. */
  async drained() {
    if (!this.open || this.#socket.bufferedAmount < this.#highWater) return;
    const start = performance.now();
    const waiting = this.#socket.bufferedAmount;
    const low = this.#highWater / 2;
    while (this.open && this.#socket.bufferedAmount >= low) {
      await this.#tick(this.#timeFor(this.#socket.bufferedAmount - low));
    }
    this.#adapt(waiting - this.#socket.bufferedAmount, performance.now() - start);
  }

  /** The buffer may hold what the link took in the last PATIENCE milliseconds. */
  #adapt(bytes, milliseconds) {
    this.#rate = bytes / Math.max(1, milliseconds);
    this.#highWater = Math.min(MOST, Math.max(LEAST, this.#rate * PATIENCE));
  }

  /** Half of the milliseconds in which the link sends so much: it may have become faster. */
  #timeFor(bytes) {
    if (!this.#rate) return TICK;
    return Math.min(PATIENCE, Math.max(TICK, bytes / this.#rate / 2));
  }

  #tick(milliseconds) {
    return new Promise((resolve) => {
      this.#wake.add(resolve);
      setTimeout(resolve, milliseconds);
    });
  }

  #wakeAll() {
    for (const resolve of this.#wake) resolve();
    this.#wake.clear();
  }
}
