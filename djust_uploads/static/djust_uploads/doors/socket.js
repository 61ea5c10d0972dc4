// The page of a plain consumer: its elements send events, and it shows whether it is connected.

import { Presses } from "./presses.js";

export class Socket {
  #connection;
  #presses = new Presses();
  #lost = false;

  constructor(connection) {
    this.#connection = connection;
  }

  start() {
    this.#connection.addEventListener("mounted", () => this.#mounted());
    this.#connection.addEventListener("lost", () => this.#isLost());
    this.#connection.addEventListener("push", ({ detail }) => dispatch("djust:push_event", detail));
    this.#connection.addEventListener("refused", ({ detail }) => {
      dispatch("djust:error", { event: null, error: detail });
    });
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("submit", (event) => this.#submitted(event));
    this.#connection.start();
  }

  #mounted() {
    show(true);
    if (this.#lost) this.#presses.release();
    this.#lost = false;
  }

  #isLost() {
    show(false);
    this.#lost = true;
  }

  #clicked(event) {
    // A script may dispatch one on the document.
    const element = event.target.closest?.("[dj-click]");
    if (!element) return;
    event.preventDefault();
    this.#callOrHold(element, element.getAttribute("dj-click"), values(element));
  }

  #submitted(event) {
    const form = event.target.closest("[dj-submit]");
    if (!form) return;
    event.preventDefault();
    this.#callOrHold(form, form.getAttribute("dj-submit"), fields(form, event.submitter));
  }

  #callOrHold(element, name, params) {
    const call = () => this.#call(element, name, params);
    if (this.#lost) this.#presses.hold(element, call);
    else call();
  }

  async #call(element, name, params) {
    element.setAttribute("aria-busy", "true");
    try {
      await this.#connection.sendEvent(name, params);
    } catch (error) {
      dispatch("djust:error", { event: name, error: error.message });
    } finally {
      element.removeAttribute("aria-busy");
    }
  }
}

function show(connected) {
  document.body.classList.toggle("dj-connected", connected);
  document.body.classList.toggle("dj-disconnected", !connected);
}

/** The text fields, the pressed button included; a name that occurs again has a list. */
function fields(form, submitter) {
  const data = new FormData(form, submitter);
  const texts = Array.from(new Set(data.keys()), (name) => {
    const values = data.getAll(name).filter((value) => typeof value === "string");
    return [name, values.length === 1 ? values[0] : values];
  });
  return Object.fromEntries(texts.filter(([, value]) => value.length || value === ""));
}

/** dj-value-photo-id="3" as {photo_id: "3"}. */
function values(element) {
  const prefix = "dj-value-";
  const attributes = Array.from(element.attributes).filter(({ name }) => name.startsWith(prefix));
  return Object.fromEntries(attributes.map(({ name, value }) => {
    return [name.slice(prefix.length).replaceAll("-", "_"), value];
  }));
}

function dispatch(type, detail) {
  window.dispatchEvent(new CustomEvent(type, { detail }));
}
