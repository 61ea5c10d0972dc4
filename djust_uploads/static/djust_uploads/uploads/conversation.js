// What is said and heard about uploads over one connection.

import { gettext } from "../texts/catalogue.js";
import { Transfer } from "./transfer.js";
import { Wire } from "../wire/wire.js";

// Milliseconds between the questions for an upload that is locked: by a handler that reads its file,
// or, for ten seconds at most, by a process that died.
const LOCKED_PAUSES = [1000, 2000, 4000, 8000];

// https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
const MESSAGE_TOO_BIG = 1009;

/**
 * `slotsChanged(slots)` is called when the server says which slots the view has now, and `again()`
 * when an upload waits to be looked at again.
 */
export class Conversation {
  #roster;
  #records;
  #leftovers;
  #wire;
  #again;
  #lessons;
  #over = false;

  constructor(socket, { roster, records, leftovers, lessons, slotsChanged, again }) {
    this.#roster = roster;
    this.#records = records;
    this.#leftovers = leftovers;
    this.#lessons = lessons;
    this.#again = again;
    socket.addEventListener("close", ({ code }) => {
      if (code === MESSAGE_TOO_BIG) lessons.tooLarge();
    });
    const heard = {
      upload_configs: (message) => slotsChanged(message.upload_configs),
      upload_registered: (message) => this.#registered(message),
      upload_resumed: (message) => this.#resumed(message),
      upload_progress: (message) => this.#progressed(message),
      upload_consumed: (message) => this.#consumed(message),
    };
    this.#wire = new Wire(socket, (message) => {
      if (!this.#over) heard[message.type]?.(message);
    });
  }

  get open() {
    return this.#wire.open;
  }

  /** Another connection has taken the place of this one: what comes late means nothing. */
  end() {
    this.#over = true;
  }

  askForSlots() {
    this.#wire.askForSlots();
  }

  askForCancelled() {
    this.#leftovers.askForCancelled(this.#wire);
  }

  /** Announce a file. `resumable` says whether its slot is. */
  register(upload, resumable) {
    upload.status = "uploading";
    // Until the answer says whether it really is. If that gets lost, the server may have it.
    upload.resumable = resumable;
    this.#wire.register(upload);
  }

  /** Ask where the server stands with an upload of another connection. */
  resume(upload) {
    upload.status = "resuming";
    this.#wire.resume(upload);
  }

  cancel(upload) {
    if (upload.attached) this.#wire.cancel(upload.ref);
  }

  #registered(message) {
    const upload = this.#roster.find(message.ref);
    if (!upload?.active || upload.transfer) return;
    upload.resumable = message.resumable === true;
    if (upload.resumable) this.#records.keep(upload, "uploading");
    this.#send(upload, message);
  }

  #resumed(message) {
    const upload = this.#roster.find(message.ref);
    if (!upload) this.#leftovers.resumed(message, this.#wire);
    if (!upload?.active || upload.transfer) return;
    if (message.status === "resumed") this.#goOn(upload, message);
    else if (message.status === "not_found") this.#startOver(upload);
    else this.#askAgain(upload);
  }

  #goOn(upload, message) {
    const sent = message.bytes_received === upload.size;
    upload.moveTo(message.progress);
    upload.lockedCount = 0;
    this.#roster.move(upload, sent ? "finalizing" : "uploading");
    // The rest of it is in a file that only the user can choose again.
    if (upload.standIn && !sent && !upload.ended) this.#giveUp(upload);
    // Here, or by who heard of the move.
    if (upload.ended) return;
    this.#records.keep(upload, sent ? "sent" : "uploading");
    this.#send(upload, message);
  }

  #giveUp(upload) {
    this.#records.keep(upload, "cancelled");
    this.cancel(upload);
    this.#roster.drop(upload);
  }

  #askAgain(upload) {
    const pause = LOCKED_PAUSES[upload.lockedCount];
    upload.lockedCount += 1;
    if (pause) {
      this.#roster.move(upload, "waiting");
      setTimeout(this.#again, pause);
    } else {
      // It is another window's now, and so is its record.
      this.#roster.fail(upload, "locked", gettext("This upload goes on in another window."));
    }
  }

  #startOver(upload) {
    this.#records.forget(upload.ref);
    if (upload.standIn) {
      this.#roster.drop(upload);
      return;
    }
    upload.startOver();
    this.#again();
  }

  async #send(upload, message) {
    const transfer = new Transfer(this.#wire.line, upload.file, this.#lessons, message);
    upload.transfer = transfer;
    if (upload.paused) transfer.pause();
    try {
      await transfer.send();
    } catch (error) {
      if (upload.transfer !== transfer) return;
      // The file was deleted, changed or became unreadable after it was chosen.
      this.#wire.cancel(upload.ref);
      this.#records.forget(upload.ref);
      this.#roster.fail(
        upload, "unreadable", gettext("The file can't be read any more. Please choose it again."),
      );
      console.error("djust_uploads:", error);
    }
  }

  #progressed(message) {
    const upload = this.#roster.find(message.ref);
    if (!upload) this.#leftovers.progressed(message);
    if (!upload || upload.error) return;
    upload.transfer?.allow(message.limit);
    if (message.status === "error") {
      if (message.code !== "locked") this.#records.forget(upload.ref);
      this.#roster.fail(upload, message.code, message.error);
      return;
    }
    upload.moveTo(message.progress);
    const sent = ["finalizing", "complete"].includes(message.status);
    if (sent && upload.resumable) this.#records.keep(upload, "sent");
    if (message.status === "cancelled") {
      this.#records.forget(upload.ref);
      this.#roster.remove(upload);
    }
    this.#roster.move(upload, message.status);
  }

  #consumed({ refs }) {
    for (const ref of refs) {
      const upload = this.#roster.find(ref);
      if (upload) {
        upload.status = "consumed";
        upload.stop();
        this.#roster.remove(upload);
      }
      this.#records.forget(ref);
    }
    this.#roster.changed();
  }
}
