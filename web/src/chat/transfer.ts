// Conversations to files and back.
import { isConversation, newId, shown, type Conversation } from "./tree";

const FORMAT = "tandem-conversations";

export function toMarkdown(c: Conversation, names: { user: string; system: string }): string {
  const parts = [`# ${c.title || "Tandem"}`];
  if (c.system.trim()) parts.push(`**${names.system}**`, c.system);
  for (const message of shown(c))
    parts.push(
      `## ${message.role === "user" ? names.user : (message.model ?? c.model)}`,
      message.text,
    );
  return parts.join("\n\n") + "\n";
}

// All branches.
export const toJson = (list: Conversation[]): string =>
  JSON.stringify({ format: FORMAT, version: 1, conversations: list }, null, 2) + "\n";

// The conversations of a file, with ids of their own; throws where it holds none.
export function fromJson(text: string): Conversation[] {
  const file = JSON.parse(text) as { format?: string; conversations?: unknown[] };
  const list = file?.format === FORMAT ? file.conversations : undefined;
  if (!Array.isArray(list) || !list.every(isConversation)) throw new Error(FORMAT);
  return list.map((c) => ({ ...c, id: newId() }));
}
