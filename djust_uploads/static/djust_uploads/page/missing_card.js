// An upload of before the page was loaded again, whose file the user has to choose once more.

import { fill, gettext } from "../texts/catalogue.js";
import { readableSize } from "../texts/format.js";
import { button, element, isolated, phrase, svg } from "./elements.js";

export class MissingCard {
  #cancel;

  /** `record` is {ref, name, size}; `open()` lets the user choose files. */
  constructor(record, { uploads, className, open }) {
    const { ref, name, size } = record;
    this.#cancel = button("upload-cancel", "cancel", fill(gettext("Remove {name}"), { name }));
    this.#cancel.addEventListener("click", () => uploads.dismiss(ref));
    const choose = button("upload-choose", "retry", fill(gettext("Choose {name} again"), { name }));
    choose.addEventListener("click", open);
    const wish = element("div", "upload-wish");
    wish.append(...phrase(gettext("Choose {name} again to go on."), { name: isolated(name) }));
    const facts = element("div", "upload-facts", isolated(readableSize(size)));
    const body = element("div", "upload-body", wish, facts);
    const picture = element("div", "upload-thumbnail", svg("file"));
    const actions = element("div", "upload-actions", choose, this.#cancel);
    this.element = element("div", `upload-card upload-missing ${className}`, picture, body, actions);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", name);
    this.element.dataset.status = "missing";
  }

  update() {}

  draw() {}

  seen() {}

  remove() {
    this.element.remove();
  }

  button(action) {
    return action === "cancel" ? this.#cancel : null;
  }
}
