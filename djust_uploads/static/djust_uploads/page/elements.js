// Making elements and changing what they say.

export function element(name, className, ...content) {
  const node = document.createElement(name);
  node.className = className;
  node.append(...content);
  return node;
}

/** A name in its own direction of writing, whatever the text around it has. */
export function isolated(text) {
  return element("bdi", "", text);
}

/** A sentence with elements in its places: "{name} is uploaded." */
export function phrase(sentence, values) {
  const parts = sentence.split(/(\{\w+\})/).filter(Boolean);
  return parts.map((part) => values[part.slice(1, -1)] ?? part);
}

// Writing the same text again would count as a change of the page.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function button(className, icon, label) {
  const node = element("button", `upload-button ${className}`);
  node.type = "button";
  setButton(node, icon, label);
  return node;
}

/** A button that says in words what it does. */
export function textButton(className, icon, label) {
  const node = element("button", `upload-button ${className}`, svg(icon), element("span", ""));
  node.type = "button";
  node.dataset.icon = icon;
  node.lastChild.textContent = label;
  return node;
}

export function setTextButton(node, icon, label) {
  setButtonIcon(node, icon);
  setText(node.lastChild, label);
}

/** Change what a button is for. It keeps the focus. */
export function setButton(node, icon, label) {
  setButtonIcon(node, icon);
  setAttribute(node, "aria-label", label);
  setAttribute(node, "title", label);
}

function setButtonIcon(node, icon) {
  if (node.dataset.icon === icon) return;
  node.dataset.icon = icon;
  node.querySelector("svg")?.remove();
  node.prepend(svg(icon));
}

// Each icon is drawn in a square of 24 by 24, with strokes in the colour of the text.
const PATHS = {
  ready: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
  waiting: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 7.5V12l3 2",
  uploading: "M12 20V5M6 11l6-6 6 6",
  done: "M4.5 12.5l5 5 10-11",
  paused: "M9 6v12M15 6v12",
  refused: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM5.6 5.6l12.8 12.8",
  failed: "M12 4 2.5 20h19ZM12 10v4.5M12 17v.5",
  pause: "M9 6v12M15 6v12",
  resume: "M8 5.5v13L18.5 12Z",
  retry: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.4M20 4v5.4h-5.4",
  cancel: "M6 6l12 12M18 6 6 18",
  file: "M6 3h8l5 5v13H6ZM14 3v5h5",
  picture: "M4 5h16v14H4ZM4 16l5-5 4 4 3-3 4 4M15.5 9v.1",
  video: "M4 6h11v12H4ZM15 10.5l5-3v9l-5-3",
  sound: "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0ZM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0Z",
  files: "M8 7h7l4 4v10H8ZM15 7v4h4M5 17V3h8",
};

const SVG = "http://www.w3.org/2000/svg";

/** What an icon says is always said in words beside it, so it is hidden from screen readers. */
export function svg(icon) {
  const image = document.createElementNS(SVG, "svg");
  image.setAttribute("class", "upload-icon");
  image.setAttribute("viewBox", "0 0 24 24");
  image.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[icon]);
  image.append(path);
  return image;
}

export function setIcon(place, icon) {
  if (place.dataset.icon === icon) return;
  place.dataset.icon = icon;
  place.replaceChildren(svg(icon));
}
