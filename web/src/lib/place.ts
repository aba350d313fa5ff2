// Which part of the page is shown: "#/chat/ID", "#/arena", "#/reports/ID", "#/status".
import { createStore } from "./store";

export const parts = ["chat", "arena", "reports", "status"] as const;
export type Part = (typeof parts)[number];

export interface Place {
  part: Part;
  id: string; // of a conversation or report; may be empty
}

function read(): Place {
  const [, part = "", id = ""] = location.hash.split("/");
  return { part: parts.find((p) => p === part) ?? "chat", id };
}

export const place = createStore<Place>(read());
addEventListener("hashchange", () => place.set(read()));

export const addressOf = (part: Part, id = ""): string => `#/${part}${id ? `/${id}` : ""}`;
export const go = (part: Part, id = ""): void => {
  location.hash = addressOf(part, id);
};
