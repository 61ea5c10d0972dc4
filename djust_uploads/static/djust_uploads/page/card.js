// One file as the page shows it: picture, name, size, state, bar and buttons.

import { fill, gettext } from "../texts/catalogue.js";
import { readableSize } from "../texts/format.js";
import {
  button, element, isolated, setAttribute, setButton, setIcon, setText, svg,
} from "./elements.js";
import { actionsOf, iconOf, isPaused, kindOf, wordOf } from "./states.js";
import { isTwice } from "./twice.js";

/**
 * A card begins as an empty element with the height of a card, so that thousands of them cost
 * little. `draw()` fills it, when it is about to be seen.
 */
export class Card {
  #uploads;
  #thumbnails;
  #apart;
  #parts = null;
  #thumbnail = null;
  #drawn = {};

  /**
   * `className` is the guide's name for what its container holds. `apart` says that the page has
   * the bar for screen readers in another container.
   */
  constructor(upload, { uploads, thumbnails, className, apart }) {
    this.upload = upload;
    this.#uploads = uploads;
    this.#thumbnails = thumbnails;
    this.#apart = apart;
    this.element = element("div", `upload-card ${className}`);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", upload.name);
  }

  /** Bring the card up to date. Costs nothing if nothing has changed. */
  update() {
    const { upload } = this;
    const { ref, status, progress, measured } = upload;
    const twice = isTwice(upload);
    const drawn = this.#drawn;
    if (drawn.status === status && drawn.progress === progress && drawn.ref === ref
      && drawn.twice === twice && drawn.measured === measured) return;
    this.#drawn = { ref, status, progress, twice, measured };
    setAttribute(this.element, "data-upload-ref", ref);
    setAttribute(this.element, "data-status", isPaused(upload) ? "paused" : status);
    if (this.#parts) this.#updateParts();
  }

  /** Fill the card. */
  draw() {
    if (this.#parts) return;
    this.#parts = this.#build();
    this.#updateParts();
  }

  /** The card is seen: show its picture. */
  seen() {
    this.draw();
    this.#thumbnail?.load();
  }

  remove() {
    this.#thumbnail?.release();
    this.element.remove();
  }

  /** The button of this kind, if the card shows one: "cancel", "pause", "resume" or "retry". */
  button(action) {
    const { cancel, action: other } = this.#parts ?? {};
    if (action === "cancel") return cancel;
    return other && !other.hidden ? other : null;
  }

  #build() {
    const { upload } = this;
    const parts = {
      picture: element("div", "upload-thumbnail"),
      icon: element("span", "upload-state-icon"),
      done: element("span", "upload-done"),
      text: element("span", "upload-progress-text"),
      size: isolated(""),
      bar: bar(upload),
      error: element("div", "upload-error"),
      twice: element("div", "upload-twice"),
      action: button("upload-action", "pause", ""),
      cancel: button("upload-cancel", "cancel", said(gettext("Remove {name}"), upload)),
    };
    parts.error.dir = "auto"; // a sentence that nobody has translated
    parts.action.addEventListener("click", () => this.#act());
    parts.cancel.addEventListener("click", () => this.#uploads.cancel(this.upload.ref));
    parts.picture.append(svg(kindOf(upload.file)));
    this.#thumbnail = this.#thumbnails.of(upload.standIn ? null : upload.file, parts.picture);
    const state = element("span", "upload-state", parts.icon, parts.done, parts.text);
    const size = element("span", "upload-preview-size", parts.size);
    const facts = element("div", "upload-facts", state, size);
    const track = element("div", "upload-progress-track", parts.bar);
    if (this.#apart) track.setAttribute("aria-hidden", "true");
    const body = element(
      "div", "upload-body", nameOf(upload), facts, track, parts.error, parts.twice,
    );
    const actions = element("div", "upload-actions", parts.action, parts.cancel);
    this.element.replaceChildren(parts.picture, body, actions);
    return parts;
  }

  #updateParts() {
    const { upload } = this;
    const { icon, done, text, size, error, twice, action } = this.#parts;
    setIcon(icon, iconOf(upload));
    setText(done, upload.status === "complete" ? gettext("Done") : "");
    setText(text, wordOf(upload));
    setText(size, upload.measured ? readableSize(upload.size) : "");
    setText(error, upload.error ?? "");
    setText(twice, isTwice(upload) ? gettext("This file is here twice.") : "");
    updateBar(this.#parts.bar, upload);
    const [next] = actionsOf(upload);
    // A button that goes takes the focus with it.
    if (!next && action.matches(":focus")) this.#parts.cancel.focus();
    action.hidden = !next;
    if (!next) return;
    action.className = `upload-button upload-action upload-${next}`;
    setButton(action, next, said(labelOf(next), upload));
  }

  #act() {
    const [action] = actionsOf(this.upload);
    if (action) this.#uploads[action](this.upload.ref);
  }
}

/** A progress bar, which says in words what its length shows. */
export function bar(upload) {
  const node = element("div", "upload-progress-bar");
  node.setAttribute("role", "progressbar");
  node.setAttribute("aria-label", upload.name);
  node.setAttribute("aria-valuemin", "0");
  node.setAttribute("aria-valuemax", "100");
  return node;
}

export function updateBar(node, upload) {
  setAttribute(node, "aria-valuenow", upload.progress);
  setAttribute(node, "aria-valuetext", wordOf(upload));
  const width = `${upload.progress}%`;
  if (node.style.width !== width) node.style.width = width;
}

function nameOf({ name }) {
  const node = element(
    "div", "upload-name upload-preview-name upload-progress-name", isolated(name),
  );
  node.title = name;
  return node;
}

function labelOf(action) {
  if (action === "pause") return gettext("Pause {name}");
  return action === "resume" ? gettext("Go on with {name}") : gettext("Try {name} again");
}

function said(sentence, { name }) {
  return fill(sentence, { name });
}
