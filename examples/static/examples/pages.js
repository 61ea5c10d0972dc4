// What the consumers of the plain Channels project push, shown on its pages.

const show = {
  photo({ url, name, where }) {
    const item = fromTemplate("photo");
    item.querySelector("img").src = url;
    item.querySelector("img").alt = name;
    item.querySelector(".name").textContent = name;
    item.querySelector(".where").textContent = where;
    document.querySelector(".gallery").append(item);
  },
  sink({ alias }) {
    for (const button of document.querySelectorAll(".sinks button")) {
      button.setAttribute("aria-pressed", button.getAttribute("dj-value-alias") === alias);
    }
  },
  avatar({ url }) {
    const image = document.querySelector(".avatar");
    image.src = url;
    image.hidden = false;
  },
  file({ name, type, size, sha256, path }) {
    const row = fromTemplate("file");
    row.querySelector(".name").textContent = name;
    row.querySelector(".about").textContent = `${type}, ${size}`;
    row.querySelector(".sha256").textContent = sha256;
    row.querySelector(".path").textContent = path;
    document.querySelector(".stored").append(row);
  },
};

window.addEventListener("djust:push_event", ({ detail }) => {
  show[detail.event](detail.payload);
  complain("");
});

// A handler failed, or the connection is lost: `error` is a sentence for the user.
window.addEventListener("djust:error", ({ detail }) => complain(detail.error));

// The connection is back.
window.addEventListener("djust:recovered", () => complain(""));

function complain(error) {
  document.querySelector(".problem").textContent = error;
}

function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
