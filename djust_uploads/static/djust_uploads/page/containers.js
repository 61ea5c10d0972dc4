// The containers of a page and which cards are in them.

import { fill, ngettext } from "../texts/catalogue.js";
import { number } from "../texts/format.js";
import { Card } from "./card.js";
import { element, setText } from "./elements.js";
import { inputBeside } from "./focus.js";
import { groupsOf } from "./groups.js";
import { GroupCard } from "./group_card.js";
import { MissingCard } from "./missing_card.js";
import { Summary } from "./summary.js";
import { Thumbnails } from "./thumbnails.js";
import { findTwice } from "./twice.js";

// So many cards are filled at once; of more, those that are about to be seen.
const AT_ONCE = 50;

// More cards would slow the page down. Of the other files, it says how many there are.
const MOST_CARDS = 3000;

// How many empty ones a frame adds, so that it does not take long.
const IN_A_FRAME = 1000;

// The browser looks in each frame where the observed ones are. One of so many stands for those
// around it.
const EVERY = 5;

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
  #lists = new Map();
  #summaries = new WeakMap();
  #thumbnails = new Thumbnails();
  #more = false;
  #patched = true;

  constructor(uploads) {
    this.#uploads = uploads;
  }

  /**
   * `patched` says that somebody else has changed the page. Returns whether there is more to draw,
   * in the next frame.
   */
  render(roots, notes, patched) {
    this.#more = false;
    this.#patched = patched;
    this.#forgetGone();
    for (const root of roots) {
      const previewed = new Set();
      for (const container of root.querySelectorAll("[dj-upload-preview]")) {
        const name = container.getAttribute("dj-upload-preview");
        previewed.add(name);
        const list = this.#list(container, name, "upload-preview-item");
        if (list.changed || patched) arrange(container, list.elements);
      }
      for (const container of root.querySelectorAll("[dj-upload-progress]")) {
        this.#renderProgress(container, previewed, notes);
      }
    }
    return this.#more;
  }

  /** Cards whose container was taken out of the page must let go of their files. */
  #forgetGone() {
    for (const container of this.#lists.keys()) {
      if (!container.isConnected) this.#forget(container);
    }
  }

  #forget(container) {
    this.#lists.get(container)?.clear();
    this.#lists.delete(container);
  }

  #renderProgress(container, previewed, notes) {
    const name = container.getAttribute("dj-upload-progress");
    const apart = previewed.has(name);
    const before = this.#summaries.get(container);
    if (before?.apart !== apart || before.name !== name) {
      before?.remove();
      // The page has got a place for previews, which has the cards from now on.
      if (before?.apart === false && apart) this.#forget(container);
      this.#summaries.set(container, new Summary(this.#uploads, { name, apart }));
    }
    const summary = this.#summaries.get(container);
    summary.update(notes.of(name));
    const list = apart ? null : this.#list(container, name, "upload-progress-item");
    if (!this.#patched && list && !list.changed) return;
    arrange(container, [...summary.before, ...(list?.elements ?? []), ...summary.after]);
  }

  /** The cards of a container, brought up to date. */
  #list(container, name, className) {
    if (!this.#lists.has(container)) this.#lists.set(container, new List());
    const apart = className === "upload-preview-item";
    const options = { uploads: this.#uploads, thumbnails: this.#thumbnails, className, apart };
    const list = this.#lists.get(container);
    const open = () => inputBeside(container)?.click();
    const uploads = this.#uploads.of(name);
    findTwice(name, uploads);
    const shown = shownOf(uploads);
    const missing = this.#uploads.missing(name).map((record) => ({ key: record.ref, record }));
    list.rest = uploads.length - shown.length;
    list.update([...missing, ...groupsOf(shown)], (item) => {
      if (item.record) return new MissingCard(item.record, { ...options, open });
      return item.members ? new GroupCard(item, options) : new Card(item, options);
    });
    this.#more ||= list.more;
    return list;
  }
}

/** The cards of one container. */
class List {
  more = false;

  /** Whether there are other cards than before the last update. */
  changed = false;

  #items = [];
  #rest = element("div", "upload-rest");
  #flipped = false;
  #cards = new Map();
  #seen = new IntersectionObserver((entries) => this.#intersected(entries), {
    rootMargin: "600px",
  });
  #cardOf = new WeakMap();
  #observed = new WeakSet();
  #added = 0;

  /** `create` makes the card of an upload, or of a group of them. */
  update(items, create) {
    this.changed = this.#flipped || !isSame(items, this.#items);
    if (this.changed) this.#removeOthers(new Set(items.map(keyOf)));
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
    // What is not there yet is missing in the next frame, too.
    this.#items = this.more ? [] : items;
  }

  clear() {
    this.#seen.disconnect();
    for (const card of this.#cards.values()) card.remove();
    this.#cards.clear();
  }

  get elements() {
    const cards = Array.from(this.#cards.values(), ({ element }) => element);
    return this.#rest.hidden ? cards : [...cards, this.#rest];
  }

  /** How many more files there are than cards. */
  set rest(count) {
    const sentence = ngettext("and {count} more file", "and {count} more files", count);
    setText(this.#rest, fill(sentence, { count: number(count) }));
    this.#flipped = this.#rest.hidden !== !count;
    this.#rest.hidden = !count;
  }

  #add(key, card) {
    this.#cards.set(key, card);
    this.#cardOf.set(card.element, card);
    if (this.#cards.size <= AT_ONCE) card.draw();
    if (this.#added++ % EVERY === 0) this.#observe(card);
  }

  #observe(card) {
    this.#observed.add(card);
    this.#seen.observe(card.element);
  }

  #removeOthers(keys) {
    const cards = Array.from(this.#cards);
    cards.forEach(([key, card], position) => {
      if (keys.has(key)) return;
      if (this.#observed.has(card)) this.#observeInstead(cards, position, keys);
      if (hasFocus(card.element)) focusAfter(cards, position, keys);
      card.remove();
      this.#cards.delete(key);
    });
  }

  /** The next card that stays stands for those around it. */
  #observeInstead(cards, position, keys) {
    this.#seen.unobserve(cards[position][1].element);
    const next = cards.slice(position + 1).find(([key]) => keys.has(key));
    if (next) this.#observe(next[1]);
  }

  #intersected(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      for (const element of around(target, EVERY)) this.#cardOf.get(element)?.seen();
    }
  }
}

/** The first of the uploads, and those of the others that failed. */
function shownOf(uploads) {
  if (uploads.length <= MOST_CARDS) return uploads;
  const failed = uploads.slice(MOST_CARDS).filter(({ status }) => status === "error");
  return [...uploads.slice(0, MOST_CARDS), ...failed];
}

function isSame(items, others) {
  return items.length === others.length && items.every((item, at) => item === others[at]);
}

function keyOf(item) {
  return item.key ?? item;
}

/** An element, and so many before it and behind it. */
function around(element, count) {
  const elements = [element];
  let [before, behind] = [element, element];
  for (let left = count; left; left -= 1) {
    before = before?.previousElementSibling;
    behind = behind?.nextElementSibling;
    elements.push(before, behind);
  }
  return elements.filter(Boolean);
}

/** Have these elements in this order at the beginning of the container. */
function arrange(container, elements) {
  let next = container.firstElementChild;
  for (const node of elements) {
    if (node === next) next = next.nextElementSibling;
    else container.insertBefore(node, next);
  }
}

function hasFocus(node) {
  return node.contains(node.getRootNode().activeElement);
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
