// Uppy's Dashboard, as its authors publish it. When a file is uploaded, its receipt goes to a view,
// and the view answers where the photo is.
import { Dashboard, Tus, Uppy } from "../uppy/uppy.min.mjs";

const problem = document.querySelector(".problem");

const uppy = new Uppy({
  restrictions: { allowedFileTypes: [".jpg", ".png", ".webp", ".gif"], maxNumberOfFiles: 20 },
});
uppy.use(Dashboard, { target: "#uppy", inline: true, height: 320, width: "100%", theme: "auto" });
uppy.use(Tus, { endpoint: "/uploads/" });

uppy.on("upload-success", async (file, { body }) => {
  const photo = await addPhoto(body.xhr.getResponseHeader("Upload-Receipt"));
  if (photo.error) {
    problem.textContent = `${file.name}: ${photo.error}`;
  } else {
    show(photo);
  }
});

async function addPhoto(receipt) {
  const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
  const response = await fetch("/photos/", {
    method: "POST",
    headers: { "X-CSRFToken": token },
    body: new URLSearchParams({ receipt }),
  });
  return response.json();
}

function show({ name, url, where }) {
  const item = document.querySelector("#photo").content.cloneNode(true);
  item.querySelector("img").src = url;
  item.querySelector("img").alt = name;
  item.querySelector(".name").textContent = name;
  item.querySelector(".where").textContent = where;
  document.querySelector(".gallery").append(item);
}
