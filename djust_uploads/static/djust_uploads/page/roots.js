// The document and the shadow roots in it: where a page may have uploads.

// A patch may give an element to another slot, and takes away what the server did not write.
const ATTRIBUTES = [
  "dj-upload", "dj-upload-preview", "dj-upload-progress", "accept", "multiple", "aria-describedby",
];

const OURS = ".upload-card, .upload-total, .upload-hint, .upload-note, .upload-announcement";

export class Roots {
  #found;
  #shadows = new Set();
  #observer;

  /** `found(root)` is called with each root once, `changed()` whenever the page was changed. */
  constructor(found, changed) {
    this.#found = found;
    this.#observer = new MutationObserver((mutations) => {
      const others = mutations.filter(({ target }) => !isOurs(target));
      for (const { addedNodes } of others) addedNodes.forEach((node) => this.#search(node));
      if (others.length) changed();
    });
  }

  start() {
    this.#observe(document.documentElement);
    this.#search(document.documentElement);
    addEventListener("load", () => this.#search(document.documentElement));
    // A root that was attached to an element of the page, which nobody is told of.
    for (const type of ["pointerover", "focusin", "dragenter"]) {
      addEventListener(type, (event) => {
        for (const node of event.composedPath()) if (node instanceof ShadowRoot) this.#add(node);
      }, true);
    }
  }

  /** The roots that are in the page now. */
  all() {
    for (const root of this.#shadows) if (!root.isConnected) this.#shadows.delete(root);
    return [document, ...this.#shadows];
  }

  queryAll(selector) {
    return this.all().flatMap((root) => Array.from(root.querySelectorAll(selector)));
  }

  #search(node) {
    if (!node.querySelectorAll) return; // a text
    for (const host of [node, ...node.querySelectorAll("*")]) {
      if (host.shadowRoot) this.#add(host.shadowRoot);
    }
  }

  #add(root) {
    if (this.#shadows.has(root)) return;
    this.#shadows.add(root);
    this.#observe(root);
    this.#search(root);
    this.#found(root);
  }

  #observe(node) {
    this.#observer.observe(node, {
      childList: true, subtree: true, attributeFilter: ATTRIBUTES,
    });
  }
}

/** Whether a node is inside of what we have put into the page. */
function isOurs(node) {
  return Boolean(node.closest?.(OURS));
}
