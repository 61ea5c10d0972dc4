// How many files are on their way at once.

// More large ones would only share the same link.
const LARGE = 3;

// Of small files more are on their way, so that none waits for what the server says of the others:
// so many, and so many bytes together.
const SMALL = 100;
const SMALL_TOGETHER = 4 * 1024 * 1024;

/** Whether an upload into this slot may begin beside those that are active. */
export function hasPlace({ size }, slot, active) {
  if (active.length < LARGE) return true;
  // A server that takes no lists would answer each of them by itself.
  if (!slot?.early_limit || active.length >= SMALL) return false;
  return active.reduce((sum, upload) => sum + upload.size, size) <= SMALL_TOGETHER;
}
