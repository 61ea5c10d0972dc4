// How fast bytes arrive, smoothed: what a page shows must not jump.

// Milliseconds of which the speed is the mean.
const SPAN = 5000;

// Milliseconds before which it says nothing yet.
const LEAST = 500;

export class Speed {
  #samples = [];

  /** So many bytes are there now. */
  add(loaded) {
    const now = performance.now();
    this.#samples.push({ now, loaded });
    while (this.#samples[0].now < now - SPAN) this.#samples.shift();
  }

  /** Forget what was: the sending stood still. */
  reset() {
    this.#samples = [];
  }

  /** Bytes a second, or 0 if it is not known yet. */
  get rate() {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const passed = first ? performance.now() - first.now : 0;
    return passed < LEAST ? 0 : 1000 * (last.loaded - first.loaded) / passed;
  }
}

/** Seconds until `bytes` more are there, or null if nobody knows. */
export function secondsFor(bytes, rate) {
  return rate > 0 ? bytes / rate : null;
}
