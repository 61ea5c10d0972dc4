// Many refused files as the page shows them: how many, why, and their names for who asks.

import { gettext } from "../texts/catalogue.js";
import { button, element, isolated, setAttribute, setText, svg } from "./elements.js";
import { titleOf } from "./groups.js";

// Nobody reads more names than these.
const MOST_NAMES = 100;

export class GroupCard {
  #uploads;
  #group;
  #drawn = null;
  #title = element("div", "upload-name");
  #error = element("div", "upload-error");
  #names = element("ul", "upload-names");
  #cancel = button("upload-cancel", "cancel", "");

  constructor(group, { uploads, className }) {
    this.#uploads = uploads;
    this.#group = group;
    const summary = element("summary", "", gettext("Which files?"));
    const details = element("details", "upload-which", summary, this.#names);
    const body = element("div", "upload-body", this.#title, this.#error, details);
    const picture = element("div", "upload-thumbnail", svg("files"));
    this.element = element("div", `upload-card upload-group ${className}`, picture, body);
    this.element.append(element("div", "upload-actions", this.#cancel));
    this.element.setAttribute("role", "group");
    this.element.dataset.status = "error";
    this.#cancel.addEventListener("click", () => this.#dismiss());
  }

  update(group) {
    const isSame = group.members.at(-1) === this.#drawn;
    this.#group = group;
    this.#drawn = group.members.at(-1);
    const title = titleOf(group);
    // Others may have come in place of those that went.
    if (isSame && this.#title.textContent === title) return;
    setText(this.#title, title);
    setText(this.#error, group.error);
    setAttribute(this.element, "aria-label", title);
    this.#cancel.setAttribute("aria-label", gettext("Remove this message"));
    this.#cancel.title = gettext("Remove this message");
    const names = group.members.slice(0, MOST_NAMES).map(({ name }) => name);
    this.#names.replaceChildren(...names.map((name) => element("li", "", isolated(name))));
  }

  draw() {}

  seen() {}

  remove() {
    this.element.remove();
  }

  button(action) {
    return action === "cancel" ? this.#cancel : null;
  }

  #dismiss() {
    for (const { ref } of this.#group.members) this.#uploads.cancel(ref);
  }
}
