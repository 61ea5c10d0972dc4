// What is left when a connection or a page ends: uploads that can go on, and cancels of which the
// server has not heard.

import { heldFile } from "./handles.js";
import { isOf } from "./records.js";
import { Upload } from "./upload.js";

export class Leftovers {
  #records;
  #missing = [];

  constructor(records) {
    this.#records = records;
  }

  /** Note what can go on when this tab comes back to this page. */
  leave(uploads) {
    const kept = uploads.filter((upload) => upload.resumable && upload.live);
    this.#records.leave([...kept, ...this.#missing].map(({ ref }) => ref));
  }

  /** The records of what this tab left in a slot, and can go on with when it has the file again. */
  missing(uploadName) {
    return this.#missing.filter((record) => {
      const { status } = this.#records.get(record.ref) ?? {};
      return record.uploadName === uploadName && status === "uploading";
    });
  }

  /** What this tab left in these slots of this page, if it can go on without the user. */
  async *uploads(uploadNames) {
    for (const record of this.#records.takeLeft(uploadNames)) {
      const sent = record.status === "sent";
      const file = sent ? null : await heldFile(record.ref);
      if (sent || (file && isOf(record, file))) yield Upload.restored(record, file);
      else this.#missing.push(record);
    }
  }

  /** On a new connection: ask for what was cancelled. It may be unknown, or still there. */
  askForCancelled(wire) {
    for (const record of this.#records.cancelled()) wire.resume(record);
  }

  /** The answer to that. */
  resumed({ ref, status }, wire) {
    if (!this.#cancelled(ref)) return;
    if (status === "resumed") wire.cancel(ref);
    if (status === "not_found") this.#records.forget(ref);
  }

  /** The server tells of an upload that the page has taken away. */
  progressed({ ref, status }) {
    const over = status === "cancelled" || status === "error";
    if (over && this.#cancelled(ref)) this.#records.forget(ref);
  }

  #cancelled(ref) {
    return this.#records.get(ref)?.status === "cancelled";
  }
}
