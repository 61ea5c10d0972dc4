// One file's bytes on their way to the server. Knows neither the page nor the other files.

import { sizeOf } from "./sizes.js";
import { blobFrame, checkedFrame, chunkFrame, completeFrame } from "../wire/frames.js";
import { Pace } from "../wire/pace.js";

// Bytes from which on the browser reads the frame's part of the file when it sends it, and the page
// has no work with them. A smaller part is read here, which is faster.
const LEAST_BLOB = 128 * 1024;

// Bytes to read at once where the page has to do it.
const MOST_READ = 1024 * 1024;

// Milliseconds between two looks at whether the file can still be read: each takes as long as a
// frame does on a fast link.
const CHECK_INTERVAL = 250;

/**
 * Sends `file` over `line` as far as the server's limit allows, and then says that it is complete.
 *
 * `limit` may be raised at any time by `allow()`. `pause()` and `goOn()` may be called at any time,
 * and `stop()` ends the sending. No more of the file than a frame is ever in the page's memory.
 */
export class Transfer {
  #line;
  #file;
  #size;
  #lessons;
  #ref;
  #chunkSize;
  #maxFrameSize;
  #position;
  #index;
  #limit;
  #pace;
  #checkedAt = -Infinity;
  #paused = false;
  #stopped = false;
  #wake = () => {};

  /** Goes on behind the `bytes_received` that the server has of it. */
  constructor(line, file, lessons, answer) {
    this.#line = line;
    this.#file = file;
    this.#size = sizeOf(file);
    this.#lessons = lessons;
    this.#ref = answer.ref;
    this.#limit = answer.limit;
    this.#pace = new Pace(answer.limit);
    this.#chunkSize = answer.chunk_size;
    // A server that does not tell takes single chunks.
    this.#maxFrameSize = answer.max_frame_size ?? answer.chunk_size;
    this.#position = answer.bytes_received ?? 0;
    this.#index = Math.floor(this.#position / this.#chunkSize);
  }

  allow(limit = 0) {
    if (limit <= this.#limit) return;
    this.#limit = limit;
    this.#pace.heard(limit);
    this.#wake();
  }

  pause() {
    this.#paused = true;
  }

  goOn() {
    this.#paused = false;
    this.#wake();
  }

  stop() {
    this.#stopped = true;
    this.#wake();
  }

  /** Resolves when all is sent or stop() was called; rejects when the file can't be read. */
  async send() {
    // A file that was deleted before its size was known looks like an empty one.
    if (!this.#size && !this.#position) await this.#file.arrayBuffer();
    while (this.#position < this.#size && await this.#mayGoOn()) {
      const data = await this.#read(this.#frameSize());
      // Meanwhile the user may have paused or cancelled it.
      if (await this.#mayGoOn()) this.#sendFrame(data);
    }
    while (this.#mustWait(this.#size)) await this.#woken();
    if (!this.#stopped) this.#line.send(completeFrame(this.#ref));
  }

  /** Resolves when the next frame may be sent: to false, if there is none any more. */
  async #mayGoOn() {
    const next = Math.min(this.#position + this.#chunkSize, this.#size);
    do {
      while (this.#mustWait(next)) await this.#woken();
      if (!this.#stopped) await this.#line.drained();
    } while (this.#mustWait(next)); // paused meanwhile
    return !this.#stopped;
  }

  #mustWait(position) {
    return !this.#stopped && (this.#paused || position > this.#limit);
  }

  #woken() {
    return new Promise((resolve) => { this.#wake = resolve; });
  }

  /** Whole chunks, so that only the file's last chunk is a short one. */
  #frameSize() {
    const { blobs, maxFrameSize } = this.#lessons;
    const most = Math.min(
      this.#pace.frameSize,
      this.#maxFrameSize,
      maxFrameSize,
      blobs ? Infinity : MOST_READ,
    );
    const left = this.#size - this.#position;
    const allowed = this.#limit - this.#position;
    if (left <= Math.min(most, allowed)) return left;
    const chunks = Math.floor(Math.min(most, allowed) / this.#chunkSize);
    return Math.min(Math.max(1, chunks) * this.#chunkSize, left);
  }

  /** The next part of the file: its bytes, or a Blob of which is known that it can be read. */
  async #read(size) {
    // A slice costs as much as reading a small file.
    const whole = size === this.#size;
    const slice = whole ? this.#file : this.#file.slice(this.#position, this.#position + size);
    if (!this.#lessons.blobs || size < LEAST_BLOB) return new Uint8Array(await slice.arrayBuffer());
    await this.#check(slice);
    return slice;
  }

  /**
   * A file that was changed or deleted since it was chosen can't be read, and the browser would give
   * up the whole connection when it finds that out. Rejects if so.
   */
  async #check(slice) {
    const now = performance.now();
    if (now < this.#checkedAt + CHECK_INTERVAL) return;
    this.#checkedAt = now;
    await slice.slice(0, 1).arrayBuffer();
  }

  #sendFrame(data) {
    const size = data.size ?? data.length;
    const checked = this.#lessons.checksums ? checkedFrame : chunkFrame;
    const build = data instanceof Blob ? blobFrame : checked;
    this.#lessons.sent(size);
    try {
      this.#line.send(build(this.#ref, this.#index, data));
    } catch (error) {
      if (!(data instanceof Blob)) throw error;
      // A wrapper around the socket may not know Blobs. The same part is sent again as bytes.
      this.#lessons.noBlobs();
      return;
    }
    this.#position += size;
    this.#index += Math.ceil(size / this.#chunkSize);
  }
}
