// The focus of the keyboard, which a patch of the page may take away.

/** Remembers which button, of a file or of all of a slot, had the focus, and gives it back. */
export class Focus {
  #last = null;

  start() {
    addEventListener("focusin", (event) => this.#note(event.composedPath()[0]), true);
    addEventListener("focusout", ({ relatedTarget }) => {
      // The focus went somewhere else. An element that is removed loses it to nothing.
      if (relatedTarget) this.#last = null;
    }, true);
  }

  /** Whether the button was taken out of the page. It may come back, but without the focus. */
  get lost() {
    return Boolean(this.#last && !this.#last.node.isConnected);
  }

  restore(roots) {
    const { selector } = this.#last;
    this.#last = null;
    if (document.activeElement !== document.body) return;
    roots.map((root) => root.querySelector(selector)).find(Boolean)?.focus();
  }

  #note(node) {
    const selector = node.closest && (ofFile(node) ?? ofAll(node));
    this.#last = selector ? { selector, node } : null;
  }
}

function ofFile(node) {
  const ref = node.closest("[data-upload-ref]")?.dataset.uploadRef;
  const kind = kindOf(node, ["upload-cancel", "upload-action"]);
  return ref && kind && `[data-upload-ref="${ref}"] .${kind}`;
}

function ofAll(node) {
  const name = node.closest("[dj-upload-progress]")?.getAttribute("dj-upload-progress");
  const kind = kindOf(node, ["upload-pause-all", "upload-cancel-all"]);
  return name && kind && `[dj-upload-progress="${CSS.escape(name)}"] .${kind}`;
}

function kindOf(node, kinds) {
  return kinds.find((kind) => node.classList.contains(kind));
}

/** The input of the slot whose container an element is in, or is. */
export function inputBeside(element) {
  const container = element.closest("[dj-upload-progress], [dj-upload-preview]");
  const name = container.getAttribute("dj-upload-progress")
    ?? container.getAttribute("dj-upload-preview");
  return element.getRootNode().querySelector(`input[dj-upload="${CSS.escape(name)}"]`);
}
