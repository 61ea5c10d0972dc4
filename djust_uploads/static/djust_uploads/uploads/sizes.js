// The sizes of files. Chromium asks another process, and waits, whenever a page asks for one: half a
// millisecond for each file.

import { rest } from "./resting.js";

// So many files are asked for at once. It takes no longer than a user notices.
export const FEW = 50;

// Milliseconds for which a page may be kept busy with the sizes, before it gets to answer its user.
const SLICE = 10;

const sizes = new WeakMap();

/** Bytes of a file, as they were when it was chosen. */
export function sizeOf(file) {
  if (!sizes.has(file)) sizes.set(file, file.size);
  return sizes.get(file);
}

/** Ask for the sizes of the files of many uploads, little by little. Yields those that are known. */
export async function* measured(uploads) {
  for (let at = 0; at < uploads.length; ) {
    const from = at;
    const until = performance.now() + SLICE;
    while (at < uploads.length && performance.now() < until) uploads[at++].measure();
    yield uploads.slice(from, at);
    await rest();
  }
}
