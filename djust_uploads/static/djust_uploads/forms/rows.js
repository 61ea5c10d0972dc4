// One file in the list of an upload field.

/** Shows a file that is on its way, is uploaded, or has failed. */
export class FileRow {
  element;
  onRemove = () => {};
  isSending = false;
  hasFailed = false;
  isAdopted = false;
  ended = Promise.resolve();
  #field;
  #name;
  #size;
  #bar = null;
  #note;
  #button;
  #end = () => {};

  constructor(field, element, name, size) {
    this.#field = field;
    this.element = element;
    this.#name = name;
    this.#size = size;
    this.#button = document.createElement("button");
    this.#button.type = "button";
    this.#button.textContent = "×";
    this.#button.setAttribute("aria-label", this.#say("remove"));
    this.#button.addEventListener("click", () => this.onRemove());
    element.append(this.#button);
  }

  /** A row for a file that is about to be sent. */
  static create(field, name, size) {
    const element = document.createElement("li");
    const label = element.appendChild(document.createElement("span"));
    label.className = "djust-form-upload-name";
    label.textContent = name;
    const row = new FileRow(field, element, name, size);
    row.#start();
    return row;
  }

  /** The row of a file that the server has shown: it waits for the form to be sent again. */
  static adopt(field, element) {
    const name = element.querySelector(".djust-form-upload-name").textContent;
    element.querySelector("label").hidden = true;
    const row = new FileRow(field, element, name, 0);
    row.isAdopted = true;
    return row;
  }

  #say(key) {
    // A function, because "$&" in a name would stand for something else.
    return this.#field.say(key).replace("{name}", () => this.#name);
  }

  #start() {
    this.isSending = true;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#bar = document.createElement("progress");
    this.#bar.max = this.#size || 1;
    this.#bar.value = 0;
    this.#bar.setAttribute("aria-label", this.#say("uploading"));
    this.#note = document.createElement("span");
    this.#note.setAttribute("role", "status");
    this.#note.className = "djust-form-upload-note";
    this.#button.before(this.#bar, this.#note);
    this.element.dataset.state = "uploading";
  }

  progress(bytes) {
    if (this.#bar) this.#bar.value = bytes;
  }

  /** Put the receipt into the form. */
  done(name, receipt) {
    const hidden = this.element.appendChild(document.createElement("input"));
    hidden.type = "hidden";
    hidden.name = name;
    hidden.value = receipt;
    this.#bar?.remove();
    this.element.dataset.state = "done";
    this.#note.classList.add("djust-form-upload-hidden");
    this.#note.textContent = this.#say("done");
    this.stop();
  }

  fail(message) {
    this.hasFailed = true;
    this.#bar?.remove();
    this.element.dataset.state = "failed";
    this.#note.setAttribute("role", "alert");
    this.#note.textContent = message;
    this.stop();
  }

  stop() {
    this.isSending = false;
    this.#end();
  }

  focus() {
    this.#button.focus();
  }

  /** Let the server delete the file when the form is sent. */
  markRemoved() {
    const box = this.element.querySelector("input[type=checkbox]");
    if (box) box.checked = true;
    this.element.hidden = true;
  }
}
