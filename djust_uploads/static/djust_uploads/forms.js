// The entry for Django's forms: finds the upload fields of a page, and lets a form wait for them.

import {UploadField} from "./forms/fields.js";

// An element may be taken out of the page and put back.
const fields = new WeakMap();

function enhance(root) {
  for (const element of root.querySelectorAll("[data-upload-field]")) {
    // The admin and formsets keep a template of a row in the page, and copy it with its attributes.
    if (!fields.has(element)) fields.set(element, new UploadField(element));
  }
}

function fieldsOf(form) {
  const elements = [...document.querySelectorAll("[data-upload-field]")];
  return elements.map((element) => fields.get(element)).filter((field) => field?.form === form);
}

const waiting = new WeakSet();
const passing = new WeakSet();

// Capturing comes before any other handler of the form's own.
addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (passing.has(form)) return;
    if (!fieldsOf(form).some((field) => field.isBusy || field.hasFailed)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!waiting.has(form)) submitLater(form, event.submitter);
  },
  {capture: true},
);

async function submitLater(form, submitter) {
  waiting.add(form);
  form.setAttribute("aria-busy", "true");
  await settled(form);
  form.removeAttribute("aria-busy");
  waiting.delete(form);
  const failed = fieldsOf(form).find((field) => field.hasFailed);
  if (failed) failed.focusFailed();
  else submit(form, submitter);
}

/** Resolves when no file is on its way, those that are added meanwhile included. */
async function settled(form) {
  while (fieldsOf(form).some((field) => field.isBusy)) {
    await Promise.all(fieldsOf(form).map((field) => field.settled()));
  }
}

function submit(form, submitter) {
  passing.add(form);
  // The page may have taken the button away.
  form.requestSubmit(submitter?.form === form ? submitter : null);
  // Where the form is not valid, there was no submit event.
  passing.delete(form);
}

enhance(document);
new MutationObserver((changes) => {
  for (const {addedNodes} of changes) {
    for (const node of addedNodes) {
      if (node instanceof Element) enhance(node.parentElement ?? node);
    }
  }
}).observe(document, {childList: true, subtree: true});
