// The conversations, in memory and in the browser's database.
import { createStore } from "../lib/store";
import { onForeignChange, readAll, remove, write } from "../lib/database";
import { isConversation, type Conversation } from "./tree";

const SAVE_AFTER = 400;

export const conversations = createStore<Record<string, Conversation>>({});
// Why the browser does not keep conversations; empty: it does.
export const storageFailure = createStore("");

const unsaved = new Set<string>();
let timer = 0;

function report(error: unknown): void {
  const failure = error as Error | null;
  storageFailure.set(failure?.name === "QuotaExceededError" ? "quota" : String(failure));
}

export async function save(): Promise<void> {
  clearTimeout(timer);
  timer = 0;
  const before = unsaved.size;
  try {
    for (const id of unsaved) {
      const conversation = conversations.get()[id];
      if (conversation) await write("conversations", conversation);
      if (conversations.get()[id] === conversation) unsaved.delete(id);
    }
    if (before > 0) storageFailure.set("");
  } catch (error) {
    report(error);
  }
}

export function put(conversation: Conversation): void {
  conversations.update((all) => ({ ...all, [conversation.id]: conversation }));
  unsaved.add(conversation.id);
  timer ||= window.setTimeout(save, SAVE_AFTER);
}

// Changes a conversation, unless it has been deleted meanwhile.
export function update(id: string, work: (c: Conversation) => Conversation): void {
  const conversation = conversations.get()[id];
  if (conversation) put(work(conversation));
}

export function discard(id: string): void {
  conversations.update(({ [id]: _, ...others }) => others);
  remove("conversations", id).catch(report);
}

// Takes over what this or another tab has saved, but for what is newer here.
async function read(): Promise<void> {
  try {
    const found = (await readAll<unknown>("conversations")).filter(isConversation);
    const saved = Object.fromEntries(found.map((c) => [c.id, c]));
    const isNewer = (c: Conversation) =>
      unsaved.has(c.id) || storageFailure.get() !== "" || c.updated > saved[c.id]?.updated;
    conversations.update((all) => ({
      ...saved,
      ...Object.fromEntries(Object.entries(all).filter(([, c]) => isNewer(c))),
    }));
  } catch (error) {
    report(error);
  }
}

export function keepConversations(): void {
  void read();
  addEventListener("pagehide", () => void save());
  onForeignChange("conversations", () => void read());
}
