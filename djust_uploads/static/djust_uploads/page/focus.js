// The focus of the keyboard, which a patch of the page may take away.

/** Remembers which button of which file had the focus, and gives it back. */
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
    const { ref, kind } = this.#last;
    this.#last = null;
    if (document.activeElement !== document.body) return;
    const selector = `[data-upload-ref="${ref}"] .${kind}`;
    roots.map((root) => root.querySelector(selector)).find(Boolean)?.focus();
  }

  #note(node) {
    const ref = node.closest?.("[data-upload-ref]")?.dataset.uploadRef;
    const kind = ["upload-cancel", "upload-action"].find((name) => node.classList?.contains(name));
    this.#last = ref && kind ? { ref, kind, node } : null;
  }
}

/** The input of the slot whose container an element is in, or is. */
export function inputBeside(element) {
  const container = element.closest("[dj-upload-progress], [dj-upload-preview]");
  const name = container.getAttribute("dj-upload-progress")
    ?? container.getAttribute("dj-upload-preview");
  return element.getRootNode().querySelector(`input[dj-upload="${CSS.escape(name)}"]`);
}
