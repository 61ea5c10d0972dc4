// What is said to the server about uploads on one connection, and what it says: frames.py is the
// other side.

import { pageLanguage } from "../texts/catalogue.js";
import { cancelFrame } from "./frames.js";
import { Line } from "./line.js";

export class Wire {
  /** `hear` is called with every message on uploads. */
  constructor(socket, hear) {
    this.line = new Line(socket);
    socket.addEventListener("message", ({ data }) => {
      // Most messages are the host's, and may be long: don't parse those.
      if (typeof data === "string" && data.includes('"upload_')) hear(JSON.parse(data));
    });
  }

  get open() {
    return this.line.open;
  }

  askForSlots() {
    this.line.sendMessage({ type: "upload_configs" });
  }

  register({ ref, uploadName, file, resumable }) {
    this.line.sendMessage({
      type: "upload_register",
      upload_name: uploadName,
      ref,
      client_name: file.name,
      client_type: file.type,
      client_size: file.size,
      client_relative_path: file.webkitRelativePath || file.relativePath || "",
      resumable,
      language: pageLanguage(),
    });
  }

  /** Ask for an upload, or a record of one, that this connection has not seen. */
  resume({ ref, uploadName, name, size }) {
    this.line.sendMessage({
      type: "upload_resume",
      ref,
      upload_name: uploadName,
      client_name: name,
      client_size: size,
      language: pageLanguage(),
    });
  }

  cancel(ref) {
    this.line.send(cancelFrame(ref));
  }
}
