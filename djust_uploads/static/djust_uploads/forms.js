// The entry for Django's forms: finds the upload fields of a page, and lets a form wait for them.

import {UploadField} from "./forms/fields.js";

const fields = new Map();

function enhance(root) {
  for (const element of root.querySelectorAll("[data-upload-field]")) {
    // The admin and formsets keep a template of a row in the page, and copy it with its attributes.
    if (!fields.has(element)) fields.set(element, new UploadField(element));
  }
}

function fieldsOf(form) {
  return [...fields]
    .filter(([element, field]) => element.isConnected && field.form === form)
    .map(([, field]) => field);
}

const passing = new WeakSet();

// Capturing comes before any other handler of the form's own.
addEventListener(
  "submit",
  async (event) => {
    const form = event.target;
    const own = fieldsOf(form);
    if (passing.delete(form) || !own.some((field) => field.isBusy || field.hasFailed)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const {submitter} = event;
    form.setAttribute("aria-busy", "true");
    await Promise.all(own.map((field) => field.settled()));
    form.removeAttribute("aria-busy");
    const failed = own.find((field) => field.hasFailed);
    if (failed) {
      failed.focusFailed();
      return;
    }
    passing.add(form);
    form.requestSubmit(submitter);
  },
  {capture: true},
);

enhance(document);
new MutationObserver((changes) => {
  for (const {addedNodes} of changes) {
    for (const node of addedNodes) {
      if (node instanceof Element) enhance(node.parentElement ?? node);
    }
  }
  for (const element of fields.keys()) if (!element.isConnected) fields.delete(element);
}).observe(document, {childList: true, subtree: true});
