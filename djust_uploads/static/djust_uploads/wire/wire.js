// What is said to the server about uploads on one connection, and what it says: frames.py is the
// other side.

import { pageLanguage } from "../texts/catalogue.js";
import { cancelFrame } from "./frames.js";
import { Line } from "./line.js";

export class Wire {
  /** `hear` is called with every message on uploads, in lists of those that came together. */
  constructor(socket, hear) {
    this.line = new Line(socket);
    socket.addEventListener("message", ({ data }) => {
      // Most messages are the host's, and may be long: don't parse those.
      if (typeof data !== "string" || !data.includes('"upload_')) return;
      const message = JSON.parse(data);
      hear(message.uploads ?? [message]);
    });
  }

  get open() {
    return this.line.open;
  }

  askForSlots() {
    this.line.sendMessage({ type: "upload_configs" });
  }

  /** Announce files. Several of them, only to a server that takes lists. */
  register(uploads) {
    const files = uploads.map(described);
    const message = files.length === 1 ? files[0] : { uploads: files };
    this.line.sendMessage({ type: "upload_register", language: pageLanguage(), ...message });
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

  keep(refs) {
    this.line.sendMessage({ type: "upload_keep", refs });
  }

  cancel(ref) {
    this.line.send(cancelFrame(ref));
  }
}

/** What the server is told of a file. */
export function described({ ref, uploadName, file, size, resumable }) {
  return {
    upload_name: uploadName,
    ref,
    client_name: file.name,
    client_type: file.type,
    client_size: size,
    client_relative_path: file.webkitRelativePath || file.relativePath || "",
    resumable,
  };
}
