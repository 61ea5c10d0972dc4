// Uploads without our page: files in, events out. No DOM is needed; it works in a worker, too.
// uploader.d.ts has the types, and docs/headless.md the examples.

import { Uploads } from "./uploads/uploads.js";
import { Connection } from "./wire/connection.js";

export class Uploader extends EventTarget {
  #uploads = new Uploads();
  #connection;
  #open = new AbortController();

  /**
   * Connects to a consumer.
   *
   * @param {string | URL} url of its WebSocket, or a path on this page's host
   */
  constructor(url) {
    super();
    this.#connection = new Connection(url, this.#uploads);
    for (const type of ["change", "progress", "error"]) this.#passOn(this.#uploads, type);
    for (const type of ["mounted", "lost", "push"]) this.#passOn(this.#connection, type);
    const { signal } = this.#open;
    globalThis.addEventListener?.("pagehide", () => this.#uploads.leave(), { signal });
    this.#connection.start();
  }

  #passOn(source, type) {
    source.addEventListener(type, ({ detail }) => {
      this.dispatchEvent(new CustomEvent(type, { detail }));
    });
  }

  /**
   * The options of each slot, by name; empty until the first "mounted".
   *
   * @returns {Record<string, any>}
   */
  get slots() {
    return this.#uploads.slots;
  }

  /** Whether there is a connection. */
  get connected() {
    return this.#connection.open;
  }

  /**
   * The files of a slot, in the order in which they were chosen.
   *
   * @param {string} slot
   */
  files(slot) {
    return this.#uploads.of(slot);
  }

  /**
   * What a slot has altogether.
   *
   * @param {string} slot
   */
  total(slot) {
    return this.#uploads.total(slot);
  }

  /**
   * Add files to a slot. Those that it can't take are there at once, with an error.
   *
   * @param {string} slot
   * @param {Iterable<File>} files
   */
  add(slot, files) {
    return this.#uploads.add(slot, files);
  }

  /**
   * Send what a slot with `auto_upload=False` holds back.
   *
   * @param {string} slot
   */
  start(slot) {
    this.#uploads.start(slot);
  }

  /** @param {string} ref */
  cancel(ref) {
    this.#uploads.cancel(ref);
  }

  /** @param {string} ref */
  pause(ref) {
    this.#uploads.pause(ref);
  }

  /** @param {string} ref */
  resume(ref) {
    this.#uploads.resume(ref);
  }

  /** @param {string} ref */
  retry(ref) {
    this.#uploads.retry(ref);
  }

  /**
   * Resolves when every file of these slots has ended, those that are added meanwhile included: to
   * whether none of them failed on the way.
   *
   * @param {string[]} slots
   */
  settle(...slots) {
    return this.#uploads.settle(slots);
  }

  /**
   * Call an event handler of the consumer. Resolves when it has returned.
   *
   * @param {string} event
   * @param {Record<string, unknown>} [params]
   * @returns {Promise<void>}
   */
  send(event, params) {
    return this.#connection.sendEvent(event, params);
  }

  /** End the connection for good. What is on its way is dropped, unless it can be resumed. */
  close() {
    // A page that makes one after the other must not keep them, and their files, in memory.
    this.#open.abort();
    this.#uploads.leave();
    this.#connection.close();
  }
}
