// The file inputs of a page: what their slots say of them, and what is in them.

// What the client has set, so that it can be set again. What the page's author has set stays.
const given = new WeakMap();

const adopted = new WeakSet();

const held = new WeakMap();

// The time that it takes to put files into an input grows with the square of their number.
const MOST_HELD = 1000;

/** Keep an input in step with its slot. */
export function updateInput(input, uploads) {
  const name = input.getAttribute("dj-upload");
  const slot = uploads.slots[name];
  if (slot) {
    setUp(input, slot);
    placeProgress(input, name);
    describe(input, name);
  }
  adopt(input, name, uploads);
  hold(input, uploads.of(name));
}

/** What the slot says, unless the page's author said otherwise. */
function setUp(input, { accept, max_entries: most }) {
  if (!given.has(input)) {
    given.set(input, { accept: !input.hasAttribute("accept"), multiple: !input.multiple });
  }
  const may = given.get(input);
  if (may.accept && accept && input.accept !== accept) input.accept = accept;
  if (may.accept && !accept) input.removeAttribute("accept");
  if (may.multiple && input.multiple !== most > 1) input.multiple = most > 1;
}

/** Errors must be seen, also on a page that has no place for them. */
function placeProgress(input, name) {
  const root = input.getRootNode();
  const selector = `[dj-upload-progress="${CSS.escape(name)}"]`;
  if (root.querySelector(selector) || document.querySelector(selector)) return;
  const progress = document.createElement("div");
  progress.setAttribute("dj-upload-progress", name);
  placeFor(input).after(progress);
}

/**
 * djust finds what it patches by position, so nothing may be put between its own elements. In a
 * row, such as Bootstrap's .input-group, there is no room, and a label would make a button of it.
 */
function placeFor(input) {
  const root = input.closest("[dj-root]");
  if (root) return root;
  let place = input.closest("label") ?? input;
  while (place.parentElement && isRow(place.parentElement)) place = place.parentElement;
  return place;
}

function isRow(element) {
  const { display, flexDirection } = getComputedStyle(element);
  return display.endsWith("flex") && flexDirection.startsWith("row");
}

/** Have screen readers say what the slot takes with the input's name. */
function describe(input, name) {
  const selector = `[dj-upload-progress="${CSS.escape(name)}"] > .upload-hint`;
  const hint = input.getRootNode().querySelector(selector);
  if (!hint) return;
  const ids = (input.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
  if (ids.includes(hint.id)) return;
  const others = ids.filter((id) => !id.startsWith("djust-upload-hint-"));
  input.setAttribute("aria-describedby", [...others, hint.id].join(" "));
}

/** Take what was chosen before this script was there. */
function adopt(input, name, uploads) {
  if (adopted.has(input)) return;
  adopted.add(input);
  if (input.files.length && !uploads.of(name).length) uploads.add(name, input.files);
}

/**
 * Have the input hold what its slot holds: what was dropped counts for `required`, what was taken
 * away can be chosen again, and the number of files beside the button is right.
 */
function hold(input, uploads) {
  const files = uploads.filter((upload) => upload.live).map((upload) => upload.file);
  const before = held.get(input);
  const known = before?.list === input.files ? before.files : Array.from(input.files);
  if (!isSame(files, known)) {
    const transfer = new DataTransfer();
    for (const file of files.slice(0, MOST_HELD)) transfer.items.add(file);
    input.files = transfer.files;
  }
  held.set(input, { list: input.files, files });
}

function isSame(files, others) {
  return files.length === others.length && files.every((file, at) => file === others[at]);
}

/** Files that went to the server already are not posted with the form again. */
export function leaveOut(formData, form, uploads) {
  for (const input of form.elements) {
    if (!input.matches("input[dj-upload][name]")) continue;
    const { name } = input;
    const sent = new Set(uploads.of(input.getAttribute("dj-upload")).map(({ file }) => file));
    const others = formData.getAll(name).filter((value) => !sent.has(value));
    formData.delete(name);
    for (const value of others) formData.append(name, value);
  }
}
