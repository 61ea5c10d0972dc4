// A multipart POST for each file, five at once: what a page without a library does.

document.querySelector("input").addEventListener("change", async ({ target }) => {
  const files = Array.from(target.files);
  begin(files.length);
  const next = async () => {
    for (let file = files.shift(); file; file = files.shift()) await post(file);
  };
  await Promise.all(Array.from({ length: 5 }, next));
});

function post(file) {
  const body = new FormData();
  body.append("file", file);
  const request = new XMLHttpRequest();
  request.open("POST", "/post/");
  return new Promise((resolve) => {
    request.addEventListener("load", () => {
      if (request.status === 200) done();
      else failed(request.status);
      resolve();
    });
    request.addEventListener("error", () => failed("network"));
    request.send(body);
  });
}
