// The containers of a page and which cards are in them.

import { Card } from "./card.js";
import { inputBeside } from "./focus.js";
import { groupsOf } from "./groups.js";
import { GroupCard } from "./group_card.js";
import { MissingCard } from "./missing_card.js";
import { Summary } from "./summary.js";
import { Thumbnails } from "./thumbnails.js";
import { findTwice } from "./twice.js";

// So many cards are filled at once; of more, those that are about to be seen.
const AT_ONCE = 50;

// How many empty ones a frame adds, so that it does not take long.
const IN_A_FRAME = 1000;

/**
 * Keeps containers in step with the uploads. A page with a place for previews has the cards there,
 * and their progress where it has a place for that. A page without has the cards beside the
 * progress.
 *
 * Elements are made once for an upload and container and then moved along, so that a page that is
 * patched around them loses nothing.
 */
export class Containers {
  #uploads;
  #lists = new WeakMap();
  #summaries = new WeakMap();
  #thumbnails = new Thumbnails();
  #more = false;

  constructor(uploads) {
    this.#uploads = uploads;
  }

  /** Returns whether there is more to draw, in the next frame. */
  render(roots, notes) {
    this.#more = false;
    for (const root of roots) {
      const previewed = new Set();
      for (const container of root.querySelectorAll("[dj-upload-preview]")) {
        const name = container.getAttribute("dj-upload-preview");
        previewed.add(name);
        arrange(container, this.#cards(container, name, "upload-preview-item"));
      }
      for (const container of root.querySelectorAll("[dj-upload-progress]")) {
        this.#renderProgress(container, previewed, notes);
      }
    }
    return this.#more;
  }

  #renderProgress(container, previewed, notes) {
    const name = container.getAttribute("dj-upload-progress");
    const apart = previewed.has(name);
    if (this.#summaries.get(container)?.apart !== apart) {
      this.#summaries.get(container)?.remove();
      this.#summaries.set(container, new Summary(this.#uploads, { name, apart }));
    }
    const summary = this.#summaries.get(container);
    summary.update(notes.of(name));
    const cards = apart ? [] : this.#cards(container, name, "upload-progress-item");
    arrange(container, [...summary.before, ...cards, ...summary.after]);
  }

  /** The elements of a container's cards, brought up to date. */
  #cards(container, name, className) {
    if (!this.#lists.has(container)) this.#lists.set(container, new List());
    const apart = className === "upload-preview-item";
    const options = { uploads: this.#uploads, thumbnails: this.#thumbnails, className, apart };
    const list = this.#lists.get(container);
    const open = () => inputBeside(container)?.click();
    const uploads = this.#uploads.of(name);
    findTwice(name, uploads);
    const missing = this.#uploads.missing(name).map((record) => ({ key: record.ref, record }));
    list.update([...missing, ...groupsOf(uploads)], (item) => {
      if (item.record) return new MissingCard(item.record, { ...options, open });
      return item.members ? new GroupCard(item, options) : new Card(item, options);
    });
    this.#more ||= list.more;
    return list.elements;
  }
}

/** The cards of one container. */
class List {
  more = false;
  #cards = new Map();
  #seen = new IntersectionObserver((entries) => this.#intersected(entries), {
    rootMargin: "600px",
  });
  #cardOf = new WeakMap();

  /** `create` makes the card of an upload, or of a group of them. */
  update(items, create) {
    this.#removeOthers(new Set(items.map(keyOf)));
    let fresh = 0;
    for (const item of items) {
      const key = keyOf(item);
      if (!this.#cards.has(key)) {
        fresh += 1;
        if (fresh > IN_A_FRAME) break;
        this.#add(key, create(item));
      }
      this.#cards.get(key).update(item);
    }
    this.more = fresh > IN_A_FRAME;
  }

  get elements() {
    return Array.from(this.#cards.values(), ({ element }) => element);
  }

  #add(key, card) {
    this.#cards.set(key, card);
    this.#cardOf.set(card.element, card);
    if (this.#cards.size <= AT_ONCE) card.draw();
    this.#seen.observe(card.element);
  }

  #removeOthers(keys) {
    const cards = Array.from(this.#cards);
    cards.forEach(([key, card], position) => {
      if (keys.has(key)) return;
      this.#seen.unobserve(card.element);
      if (hasFocus(card.element)) focusAfter(cards, position, keys);
      card.remove();
      this.#cards.delete(key);
    });
  }

  #intersected(entries) {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) this.#cardOf.get(target)?.seen();
    }
  }
}

function keyOf(item) {
  return item.key ?? item;
}

/** Have these elements in this order at the beginning of the container. */
function arrange(container, elements) {
  let next = container.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else container.insertBefore(element, next);
  }
}

function hasFocus(element) {
  return element.contains(element.getRootNode().activeElement);
}

/** The focus must not be lost with the card that had it. */
function focusAfter(cards, position, keys) {
  const staying = ([key]) => keys.has(key);
  const next = cards.slice(position + 1).find(staying)
    ?? cards.slice(0, position).findLast(staying);
  const [, gone] = cards[position];
  const target = next ? next[1].button("cancel") : inputBeside(gone.element);
  target?.focus();
}
