// The sizes of files. Chromium asks another process, and waits, whenever a page asks for one.

const sizes = new WeakMap();

/** Bytes of a file, as they were when it was chosen. */
export function sizeOf(file) {
  if (!sizes.has(file)) sizes.set(file, file.size);
  return sizes.get(file);
}
