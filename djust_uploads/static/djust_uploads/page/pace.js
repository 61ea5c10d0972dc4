// How fast uploads move and how long they will take, smoothed.

// Milliseconds between two looks at the bytes: the server tells of them in steps.
const INTERVAL = 500;

// Milliseconds after which a change of the speed has nearly all of its effect.
const MEMORY = 5000;

export class Pace {
  #at = 0;
  #sent = 0;
  #rate = null;
  #now;

  /** `now` tells the time in milliseconds. */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Bytes in a second, or null while that is not known. */
  get rate() {
    return this.#rate;
  }

  /** Seconds until all bytes are sent, or null while nothing moves or not enough is known. */
  left({ size, sent, moving }) {
    if (!moving) {
      this.#begin(sent, null);
      return null;
    }
    this.#look(sent);
    return this.#rate > 0 ? (size - sent) / this.#rate : null;
  }

  #look(sent) {
    // The first look, or files were taken away.
    if (!this.#at || sent < this.#sent) this.#begin(sent, this.#rate);
    const elapsed = this.#now() - this.#at;
    if (elapsed < INTERVAL) return;
    const rate = 1000 * (sent - this.#sent) / elapsed;
    // The first bytes came with the start, and tell of more than there is.
    const weight = this.#rate === null ? 1 : 1 - Math.exp(-elapsed / MEMORY);
    this.#begin(sent, (this.#rate ?? 0) * (1 - weight) + rate * weight);
  }

  #begin(sent, rate) {
    this.#at = this.#now();
    this.#sent = sent;
    this.#rate = rate;
  }
}
