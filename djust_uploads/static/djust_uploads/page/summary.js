// What the page says of all files of a slot: what is taken, how far they are, what comes next.

import { Announcer } from "./announcer.js";
import { element, setText } from "./elements.js";
import { hintOf } from "./hints.js";
import { Total } from "./total.js";

let count = 0;

/** `before` and `after` are elements around the files' cards. */
export class Summary {
  #uploads;
  #total;
  #announcer = new Announcer();
  #hint = element("div", "upload-hint");
  #note = element("div", "upload-note");

  /** `apart` says that the cards are in another container. */
  constructor(uploads, { name, apart }) {
    this.#uploads = uploads;
    this.name = name;
    this.apart = apart;
    this.#total = new Total(uploads, { withBars: apart });
    this.#hint.id = `djust-upload-hint-${++count}`;
    this.before = [this.#hint, this.#total.element];
    this.after = [this.#note, ...this.#announcer.elements];
  }

  /** `note` is what the slot's form has to say. */
  update(note) {
    const uploads = this.#uploads.of(this.name);
    const slot = this.#uploads.slots[this.name];
    if (slot) setText(this.#hint, hintOf(slot));
    this.#total.update(uploads);
    this.#announcer.update(uploads);
    this.#say(note);
  }

  remove() {
    for (const node of [...this.before, ...this.after]) node.remove();
  }

  #say({ text = "", kind = "" }) {
    const another = this.#note.dataset.kind !== kind || kind === "problem";
    if (this.#note.textContent === text && !another) return;
    this.#note.dataset.kind = kind;
    setText(this.#note, text);
    // A number that counts down is not worth a sentence each time.
    if (!text || !another) return;
    if (kind === "problem") this.#announcer.warn([text]);
    else this.#announcer.say([text]);
  }
}
