// A conversation is a tree of messages: editing a question or asking for another answer adds a
// sibling. `chosen` says which child of each message is shown. All functions leave what they are
// given as it is.
import type { Sampling } from "../lib/preferences";
import type { Answer } from "../lib/answer_stream";
import type { ChatMessage } from "../lib/api";

export const ROOT = "root";

export interface Message extends Answer {
  id: string;
  parent: string | null;
  role: "root" | "user" | "assistant";
  children: string[];
  chosen: number;
  created: number;
  model?: string;
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  model: string;
  system: string;
  sampling: Sampling;
  messages: Record<string, Message>;
}

// Also where the page is served without TLS from another machine, which has no randomUUID().
export const newId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) =>
    b.toString(16).padStart(2, "0"),
  ).join("");

export function newConversation(model: string, system: string, sampling: Sampling): Conversation {
  const now = Date.now();
  const root: Message = {
    id: ROOT,
    parent: null,
    role: "root",
    text: "",
    children: [],
    chosen: 0,
    created: now,
  };
  return {
    id: newId(),
    title: "",
    created: now,
    updated: now,
    model,
    system,
    sampling,
    messages: { [ROOT]: root },
  };
}

export function change(c: Conversation, id: string, fields: Partial<Message>): Conversation {
  return {
    ...c,
    updated: Date.now(),
    messages: { ...c.messages, [id]: { ...c.messages[id], ...fields } },
  };
}

// Adds a message below `parent`, and shows it.
export function add(
  c: Conversation,
  parent: string,
  role: "user" | "assistant",
  text: string,
  model?: string,
): [Conversation, Message] {
  const message: Message = {
    id: newId(),
    parent,
    role,
    text,
    children: [],
    chosen: 0,
    created: Date.now(),
    model,
  };
  const above = c.messages[parent];
  const grown = { ...c, messages: { ...c.messages, [message.id]: message } };
  return [
    change(grown, parent, {
      children: [...above.children, message.id],
      chosen: above.children.length,
    }),
    message,
  ];
}

// The messages that are shown, from the first to the last.
export function shown(c: Conversation): Message[] {
  const path: Message[] = [];
  let at = c.messages[ROOT];
  while (at.children.length > 0) {
    at = c.messages[at.children[at.chosen]];
    path.push(at);
  }
  return path;
}

export function siblings(c: Conversation, message: Message): { index: number; count: number } {
  const ids = c.messages[message.parent!].children;
  return { index: ids.indexOf(message.id), count: ids.length };
}

export const choose = (c: Conversation, message: Message, index: number): Conversation =>
  change(c, message.parent!, { chosen: index });

// What the model is sent: the messages up to and including `last`.
export function toSend(c: Conversation, last: string): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (let at = c.messages[last]; at.role !== "root"; at = c.messages[at.parent!])
    messages.unshift({ role: at.role, content: at.text });
  if (c.system.trim()) messages.unshift({ role: "system", content: c.system });
  return messages;
}

// Whether something that was read from a file is a conversation that the functions above can walk.
export function isConversation(value: unknown): value is Conversation {
  const c = value as Conversation;
  if (
    !c ||
    typeof c !== "object" ||
    typeof c.id !== "string" ||
    typeof c.title !== "string" ||
    typeof c.model !== "string" ||
    typeof c.system !== "string" ||
    !c.sampling ||
    typeof c.sampling !== "object" ||
    !c.messages ||
    typeof c.messages !== "object"
  )
    return false;
  const at = (id: string) => (Object.hasOwn(c.messages, id) ? c.messages[id] : undefined);
  const isSound = ([id, m]: [string, Message]) =>
    m &&
    m.id === id &&
    typeof m.text === "string" &&
    Array.isArray(m.children) &&
    (m.role === "root") === (id === ROOT) &&
    ["root", "user", "assistant"].includes(m.role) &&
    (id === ROOT ? m.parent === null : at(m.parent!)?.children.includes(id)) &&
    m.children.every((child) => at(child)?.parent === id) &&
    (m.children.length === 0 || (Number.isInteger(m.chosen) && m.chosen in m.children));
  return at(ROOT) !== undefined && Object.entries(c.messages).every(isSound);
}
