// Asks for answers. They go on while another conversation, or another part of the page, is shown.
import { streamAnswer, type Progress } from "../lib/answer_stream";
import { refreshModels } from "../lib/api";
import { createStore } from "../lib/store";
import { conversations, save, update } from "./conversations";
import { add, change, toSend } from "./tree";

export interface Running {
  message: string; // the answer's id
  progress: Progress;
}

export const running = createStore<Record<string, Running>>({}); // by conversation
const controllers = new Map<string, AbortController>();

export const stop = (conversation: string): void => controllers.get(conversation)?.abort();

function setRunning(conversation: string, state: Running | null): void {
  running.update(({ [conversation]: _, ...others }) =>
    state ? { ...others, [conversation]: state } : others,
  );
}

// Another answer to the message `parent`.
export async function answer(id: string, parent: string): Promise<void> {
  if (controllers.has(id)) return;
  const c = conversations.get()[id];
  const [grown, message] = add(c, parent, "assistant", "", c.model);
  update(id, () => grown);
  void save();
  const controller = new AbortController();
  controllers.set(id, controller);
  const whole = await streamAnswer(
    c.model,
    toSend(c, parent),
    c.sampling,
    controller.signal,
    (soFar, progress) => {
      setRunning(id, { message: message.id, progress });
      update(id, (latest) => change(latest, message.id, soFar));
    },
  );
  update(id, (latest) => change(latest, message.id, whole));
  controllers.delete(id);
  setRunning(id, null);
  void save();
  refreshModels().catch(() => {}); // the model may just have been loaded
}

function titleOf(text: string): string {
  const line = text.trim().split("\n")[0];
  return line.length > 60 ? `${line.slice(0, 57)}…` : line;
}

// A question below `parent`, and the answer to it.
export function ask(id: string, parent: string, text: string): Promise<void> {
  if (controllers.has(id)) return Promise.resolve();
  const [grown, question] = add(conversations.get()[id], parent, "user", text);
  update(id, () => (grown.title ? grown : { ...grown, title: titleOf(text) }));
  return answer(id, question.id);
}
