// One file's bytes on their way to the server. Knows neither the page nor the other files.

import { chunkFrame, completeFrame } from "../wire/frames.js";

// Bytes to read from the file at once: a read costs far more than its bytes.
const BLOCK_SIZE = 1024 * 1024;

/**
 * Sends `file` over `line` as far as the server's limit allows, and then says that it is complete.
 *
 * `limit` may be raised at any time by `allow()`. `stop()` ends the sending. Reads by slices: no
 * more than a block of the file is ever in memory.
 */
export class Transfer {
  #line;
  #file;
  #ref;
  #chunkSize;
  #start;
  #limit;
  #stopped = false;
  #wake = () => {};

  /** Goes on behind the `bytes_received` that the server has of it. */
  constructor(line, file, { ref, limit, chunk_size: chunkSize, bytes_received: start = 0 }) {
    this.#line = line;
    this.#file = file;
    this.#ref = ref;
    this.#limit = limit;
    this.#chunkSize = chunkSize;
    this.#start = start;
  }

  allow(limit) {
    this.#limit = Math.max(this.#limit, limit ?? 0);
    this.#wake();
  }

  stop() {
    this.#stopped = true;
    this.#wake();
  }

  /** Resolves when all is sent or stop() was called; rejects when the file can't be read. */
  async send() {
    let index = Math.floor(this.#start / this.#chunkSize);
    for (let start = this.#start; start < this.#file.size; start += this.#blockSize) {
      const block = await this.#read(start);
      for (let at = 0; at < block.length; at += this.#chunkSize) {
        const chunk = block.subarray(at, at + this.#chunkSize);
        await this.#allowed(start + at + chunk.length);
        if (this.#stopped) return;
        this.#line.send(chunkFrame(this.#ref, index, chunk));
        index += 1;
      }
    }
    if (!this.#stopped) this.#line.send(completeFrame(this.#ref));
  }

  /** A whole number of chunks, so that only the file's last chunk is a short one. */
  get #blockSize() {
    return Math.max(1, Math.floor(BLOCK_SIZE / this.#chunkSize)) * this.#chunkSize;
  }

  async #read(start) {
    const slice = this.#file.slice(start, start + this.#blockSize);
    return new Uint8Array(await slice.arrayBuffer());
  }

  async #allowed(position) {
    while (!this.#stopped && position > this.#limit) {
      await new Promise((resolve) => { this.#wake = resolve; });
    }
    if (!this.#stopped) await this.#line.drained();
  }
}
