// Announces files to the server: many of them in one message, and small ones with their bytes.

import { described } from "../wire/wire.js";

// A message has so many files and characters at most. The server takes 64 KiB of text.
const MOST_FILES = 50;
const MOST_TEXT = 48_000;

/**
 * `send(upload, answer)` begins to send an upload. A server that takes lists says so by the slot's
 * `early_limit`: the bytes that it takes of files before it has answered their registrations.
 */
export class Registrations {
  #wire;
  #send;
  #waiting = [];

  /** By ref: the bytes that were sent before the server has answered. */
  #early = new Map();
  #earlyBytes = 0;

  constructor(wire, send) {
    this.#wire = wire;
    this.#send = send;
  }

  /** Announce a file whose slot this is; together with those that are added in the same task. */
  add(upload, slot) {
    upload.status = "uploading";
    this.#waiting.push({ upload, slot });
    if (!slot?.early_limit) this.#announce();
    else if (this.#waiting.length === 1) queueMicrotask(() => this.#announce());
  }

  /** The server has answered, in whatever way. Returns whether the file was sent along. */
  answered(ref) {
    this.#earlyBytes -= this.#early.get(ref) ?? 0;
    return this.#early.delete(ref);
  }

  #announce() {
    const waiting = this.#waiting.filter(({ upload }) => upload.status === "uploading");
    this.#waiting = [];
    for (const files of messages(waiting)) {
      for (const { upload } of files) upload.announced = true;
      this.#wire.register(files.map(({ upload }) => upload));
      for (const { upload, slot } of files) this.#sendAlong(upload, slot);
    }
  }

  /** A file of one chunk need not wait for the answer. */
  #sendAlong(upload, { early_limit: limit, chunk_size: chunkSize } = {}) {
    if (!limit) return;
    const { ref, size } = upload;
    if (size > chunkSize || this.#earlyBytes + size > limit) return;
    this.#early.set(ref, size);
    this.#earlyBytes += size;
    this.#send(upload, { ref, limit: size, chunk_size: chunkSize });
  }
}

function* messages(waiting) {
  let files = [];
  let length = 0;
  for (const file of waiting) {
    const more = JSON.stringify(described(file.upload)).length;
    if (files.length && (files.length >= MOST_FILES || length + more > MOST_TEXT)) {
      yield files;
      files = [];
      length = 0;
    }
    files.push(file);
    length += more;
  }
  if (files.length) yield files;
}
