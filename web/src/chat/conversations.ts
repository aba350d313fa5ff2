// The conversations, in memory and in the browser's database.
import { createStore } from "../lib/store";
import { readAll, remove, write } from "../lib/database";
import { isConversation, type Conversation } from "./tree";

const SAVE_AFTER = 400;

export const conversations = createStore<Record<string, Conversation>>({});
export const conversationsRead = createStore(false);
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
  const ids = [...unsaved];
  unsaved.clear();
  try {
    for (const id of ids) {
      const conversation = conversations.get()[id];
      if (conversation) await write("conversations", conversation);
    }
    if (ids.length > 0) storageFailure.set("");
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

export async function readConversations(): Promise<void> {
  try {
    const found = (await readAll<unknown>("conversations")).filter(isConversation);
    conversations.update((all) => ({
      ...Object.fromEntries(found.map((c) => [c.id, c])), ...all,
    }));
  } catch (error) {
    report(error);
  }
  conversationsRead.set(true);
  addEventListener("pagehide", () => void save());
}
