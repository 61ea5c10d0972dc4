// An upload field of a form: its input, its list of files, and the receipts that the form carries.

import {FileRow} from "./rows.js";
import {Cancelled, Sending, Unreachable, Unreadable} from "./tus.js";
import {recordOf} from "./records.js";

// How many files of a page are sent at the same time.
const AT_ONCE = 3;

let sending = 0;
const waiting = [];

async function inTurn(work) {
  if (sending >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve));
  sending++;
  try {
    return await work();
  } finally {
    sending--;
    waiting.shift()?.();
  }
}

/** Sends the files of one field ahead of its form. */
export class UploadField {
  #element;
  #input;
  #list;
  #rows = new Set();
  #plain = false;

  constructor(element) {
    this.#element = element;
    this.#input = element.querySelector("input[type=file]");
    this.#list = element.querySelector("ul");
    this.#input.addEventListener("change", () => this.#choose());
    // A script that adds a row to a formset may copy a row with files, which are not the new row's.
    for (const copied of this.#list.querySelectorAll("[data-state]")) copied.remove();
    for (const item of this.#list.querySelectorAll("[data-upload-receipt]")) {
      this.#adopt(item);
    }
  }

  get form() {
    return this.#input.form;
  }

  /** Resolves when no file is on its way. */
  async settled() {
    await Promise.all([...this.#rows].map((row) => row.ended));
  }

  get isBusy() {
    return [...this.#rows].some((row) => row.isSending);
  }

  get hasFailed() {
    return [...this.#rows].some((row) => row.hasFailed);
  }

  focusFailed() {
    [...this.#rows].find((row) => row.hasFailed)?.focus();
  }

  say(key) {
    return this.#element.getAttribute(`data-text-${key}`);
  }

  #choose() {
    if (this.#plain) return;
    const files = [...this.#input.files];
    if (!files.length) return;
    if (!this.#input.multiple) for (const row of [...this.#rows]) row.onRemove();
    this.#input.value = "";
    for (const file of files) this.#send(file);
    this.#changed();
  }

  async #send(file) {
    const url = this.#element.dataset.uploadUrl;
    const record = "uploadOnce" in this.#element.dataset ? null : recordOf(url, file);
    const row = FileRow.create(this, file.name, file.size);
    const upload = new Sending(url, file, (bytes) => row.progress(bytes), record);
    this.#rows.add(row);
    this.#list.append(row.element);
    row.onRemove = () => {
      upload.cancel();
      this.#remove(row);
      this.#input.focus();
    };
    try {
      const receipt = await inTurn(() => this.#sent(upload));
      row.done(this.#input.name, receipt);
    } catch (error) {
      if (error instanceof Cancelled) row.stop();
      else if (error instanceof Unreachable) this.#postPlainly(row, file);
      else if (error instanceof Unreadable) row.fail(this.say("unreadable"));
      else row.fail(error.message || this.say("failed"));
    }
    this.#changed();
  }

  async #sent(upload) {
    if (this.#plain) throw new Unreachable();
    return await upload.run();
  }

  /** Put a file back into the input, so that the form posts it as if there were no JavaScript. */
  #postPlainly(row, file) {
    this.#plain = true;
    this.#remove(row);
    const files = new DataTransfer();
    for (const each of [...this.#input.files, file]) files.items.add(each);
    this.#input.files = files.files;
  }

  #adopt(item) {
    const row = FileRow.adopt(this, item);
    this.#rows.add(row);
    row.onRemove = () => {
      row.markRemoved();
      this.#changed();
      this.#input.focus();
    };
    this.#changed();
  }

  #remove(row) {
    row.stop();
    if (row.isAdopted) row.markRemoved();
    else row.element.remove();
    this.#rows.delete(row);
    this.#changed();
  }

  #required = null;

  #changed() {
    this.#required ??= this.#input.required;
    this.#list.hidden = ![...this.#list.children].some((item) => !item.hidden);
    // The files are no longer in the input, and the form has them all the same.
    this.#input.required = this.#required && this.#list.hidden;
  }
}
