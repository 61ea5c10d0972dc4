// What the user presses while the connection is lost is done when it is back.

import { gettext } from "../texts/catalogue.js";

// Milliseconds after which it is given up: later, nobody would expect it any more.
const LONGEST = 30_000;

export class Presses {
  #held = new Map();

  /** `again()` is called when the connection is back. The last press of an element counts. */
  hold(element, again) {
    this.#drop(element);
    element.setAttribute("aria-busy", "true");
    const timer = setTimeout(() => this.#giveUp(element), LONGEST);
    this.#held.set(element, { again, timer });
  }

  /** The connection is back. */
  release() {
    for (const [element, { again }] of this.#held) {
      this.#drop(element);
      if (element.isConnected) again();
      else complain(gettext("The connection was lost."));
    }
    // What was said of the lost connection holds no longer.
    window.dispatchEvent(new CustomEvent("djust:recovered"));
  }

  #giveUp(element) {
    this.#drop(element);
    complain(gettext("The connection is lost. Please wait a moment."));
  }

  #drop(element) {
    clearTimeout(this.#held.get(element)?.timer);
    if (this.#held.delete(element)) element.removeAttribute("aria-busy");
  }
}

function complain(error) {
  window.dispatchEvent(new CustomEvent("djust:error", { detail: { event: null, error } }));
}
