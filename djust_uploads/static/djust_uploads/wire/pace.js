// How many bytes of a file one frame carries.

// Milliseconds of the way to the server that a frame may take: what comes behind it waits so long.
const FRAME_TIME = 20;

// On a link of so many bytes a millisecond, what the browser does for each frame takes longer than
// the frame's way. It gets larger ones.
const FAST = 40_000;
const FAST_FRAME_TIME = 60;

// What is kept of the rate when less arrived in a FRAME_TIME: one late message is no slow link.
const KEPT = 0.9;

/** Follows one upload: the limit that the server tells says how fast its bytes arrive there. */
export class Pace {
  #limit;
  #at = performance.now();
  #rate = 0;

  constructor(limit) {
    this.#limit = limit;
  }

  /** The server has told a new limit. */
  heard(limit) {
    const now = performance.now();
    const passed = now - this.#at;
    const rate = (limit - this.#limit) / Math.max(FRAME_TIME, passed);
    this.#rate = Math.max(rate, passed < FRAME_TIME ? this.#rate : KEPT * this.#rate);
    if (passed < FRAME_TIME) return;
    this.#at = now;
    this.#limit = limit;
  }

  get frameSize() {
    return this.#rate * (this.#rate < FAST ? FRAME_TIME : FAST_FRAME_TIME);
  }
}

/**
 * What a page has learnt of all its connections: the bytes that a frame may have at most, whether
 * the browser may be left to read them, and whether the server wants checksums.
 */
export class Lessons {
  maxFrameSize = Infinity;
  checksums = false;
  #blobs = true;
  #largest = 0;

  /** The page must have the bytes themselves to compute their checksum. */
  get blobs() {
    return this.#blobs && !this.checksums;
  }

  /** What wraps the socket does not know Blobs. */
  noBlobs() {
    this.#blobs = false;
  }

  sent(size) {
    this.#largest = Math.max(this.#largest, size);
  }

  /** A proxy or a server takes shorter messages than the one that the server told of. */
  tooLarge() {
    this.maxFrameSize = this.#largest / 2;
    this.#largest = 0;
  }
}
