// What screen readers say without being asked: once for many files, with the name of a single one.

import { gettext, ngettext } from "../texts/catalogue.js";
import { number } from "../texts/format.js";
import { element, isolated, phrase } from "./elements.js";
import { isRefused } from "./states.js";

// So many files are told of one by one; of more, when all of them have ended.
const FEW = 3;

// Milliseconds in which a region says one thing only. What comes later waits.
const PAUSE = 1500;

/** Two regions for the files of a slot: what is well, and what needs attention. */
export class Announcer {
  #told = new WeakMap();
  #news = new Region("status");
  #alarms = new Region("alert");
  #waits = false;

  constructor() {
    this.elements = [this.#news.element, this.#alarms.element];
  }

  /** Say a sentence, which is a list of strings and elements. */
  say(sentence) {
    this.#news.say(sentence);
  }

  warn(sentence) {
    this.#alarms.say(sentence);
  }

  /** Tell of what has changed since the last call. */
  update(uploads) {
    this.#tellFailures(uploads.filter(({ status }) => status === "error"));
    this.#tellConnection(uploads.filter(({ status }) => status === "waiting"));
    const running = uploads.some(({ ended }) => !ended);
    if (running && uploads.length > FEW) return;
    this.#tellComplete(uploads.filter(({ status }) => status === "complete"));
  }

  #fresh(uploads) {
    // What is sent again has another ref, and its ending is news.
    const ending = ({ status, ref }) => `${status} ${ref}`;
    const fresh = uploads.filter((upload) => this.#told.get(upload) !== ending(upload));
    for (const upload of fresh) this.#told.set(upload, ending(upload));
    return fresh;
  }

  #tellComplete(complete) {
    const fresh = this.#fresh(complete);
    if (fresh.length === 1) {
      this.say(phrase(gettext("{name} is uploaded."), { name: isolated(fresh[0].name) }));
    } else if (fresh.length) {
      this.say(counted(
        ngettext("{count} file is uploaded.", "{count} files are uploaded.", fresh.length), fresh,
      ));
    }
  }

  #tellFailures(failed) {
    const fresh = this.#fresh(failed);
    if (!fresh.length) return;
    if (fresh.length === 1) {
      const [{ name, error }] = fresh;
      this.warn(phrase(gettext("{name}: {error}"), { name: isolated(name), error }));
      return;
    }
    const refused = fresh.every(isRefused);
    const sentence = refused
      ? ngettext("{count} file is not accepted.", "{count} files are not accepted.", fresh.length)
      : ngettext("{count} file failed.", "{count} files failed.", fresh.length);
    const reasons = [...new Set(fresh.map(({ error }) => error))];
    this.warn([...counted(sentence, fresh), ` ${reasons.slice(0, FEW).join(" ")}`]);
  }

  #tellConnection(waiting) {
    const interrupted = waiting.some((upload) => upload.interrupted);
    if (interrupted && !this.#waits) this.say([gettext("The files wait for the connection.")]);
    this.#waits = interrupted;
  }
}

/** A live region. It is in the page before it says anything, as screen readers need it. */
class Region {
  #queue = [];
  #until = 0;
  #timer = 0;

  constructor(role) {
    this.element = element("div", "upload-announcement");
    this.element.setAttribute("role", role);
  }

  say(sentence) {
    this.#queue.push(sentence);
    if (!this.#timer) this.#next();
  }

  #next() {
    this.#timer = 0;
    const wait = this.#until - Date.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#next(), wait);
    } else if (this.#queue.length) {
      this.element.replaceChildren(...this.#queue.shift());
      this.#until = Date.now() + PAUSE;
      if (this.#queue.length) this.#next();
    }
  }
}

function counted(sentence, uploads) {
  return phrase(sentence, { count: number(uploads.length) });
}
