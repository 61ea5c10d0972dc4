// A WebSocket with a short queue: what waits in the browser's buffer delays every event behind it.

const LEAST = 64 * 1024;
const MOST = 16 * 1024 * 1024;

// Milliseconds of sending that may wait in the buffer.
const PATIENCE = 100;

export class Line {
  #socket;
  #highWater = 256 * 1024;
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
    while (this.open && this.#socket.bufferedAmount >= this.#highWater / 2) {
      await this.#tick();
    }
    this.#adapt(waiting - this.#socket.bufferedAmount, performance.now() - start);
  }

  /** The buffer may hold what the link took in the last PATIENCE milliseconds. */
  #adapt(bytes, milliseconds) {
    const rate = bytes / Math.max(1, milliseconds);
    this.#highWater = Math.min(MOST, Math.max(LEAST, rate * PATIENCE));
  }

  #tick() {
    return new Promise((resolve) => {
      this.#wake.add(resolve);
      setTimeout(resolve, 4);
    });
  }

  #wakeAll() {
    for (const resolve of this.#wake) resolve();
    this.#wake.clear();
  }
}
