// Asks for answers. They go on while another conversation, or another part of the page, is shown.
import { ApiError, refreshModels, streamChat } from "../lib/api";
import { createStore } from "../lib/store";
import { conversations, update } from "./conversations";
import { add, change, toSend, type Failure, type Message } from "./tree";

// What is known of an answer while it comes.
export interface Progress {
  message: string;
  started: number;
  firstToken: number; // milliseconds; 0: none yet
  pieces: number;
  now: number;
}

export const running = createStore<Record<string, Progress>>({}); // by conversation
const controllers = new Map<string, AbortController>();

export const stop = (conversation: string): void => controllers.get(conversation)?.abort();

function setProgress(conversation: string, progress: Progress | null): void {
  running.update(({ [conversation]: _, ...others }) =>
    (progress ? { ...others, [conversation]: progress } : others));
}

export function toFailure(error: unknown): Failure {
  if (error instanceof ApiError)
    return { status: error.status, code: error.code, message: error.message };
  return { status: 0, code: "connection_lost", message: String(error) };
}

// Text arrives faster than the screen is drawn: it is shown once per frame.
function createWriter(conversation: string, message: string, progress: Progress) {
  let text = "", frame = 0;
  const flush = () => {
    frame = 0;
    update(conversation, (c) => change(c, message, { text }));
    setProgress(conversation, { ...progress, now: performance.now() });
  };
  return {
    write(piece: string) {
      text += piece;
      if (piece) progress.pieces++;
      if (piece && !progress.firstToken) progress.firstToken = performance.now();
      frame ||= window.setTimeout(flush, document.hidden ? 500 : 33);
    },
    end() {
      clearTimeout(frame);
      flush();
    },
  };
}

async function receive(id: string, message: Message, signal: AbortSignal): Promise<void> {
  const c = conversations.get()[id];
  const started = performance.now();
  const progress: Progress = { message: message.id, started, firstToken: 0, pieces: 0, now: started };
  setProgress(id, progress);
  const writer = createWriter(id, message.id, progress);
  const facts: Partial<Message> = {};
  try {
    const messages = toSend(c, message.parent!);
    for await (const piece of streamChat(c.model, messages, c.sampling, signal)) {
      writer.write(piece.text);
      facts.finish = piece.finish ?? facts.finish;
      facts.usage = piece.usage ?? facts.usage;
      facts.timings = piece.timings ?? facts.timings;
    }
  } catch (error) {
    if (signal.aborted) facts.finish = "stopped";
    else facts.failure = toFailure(error);
  }
  writer.end();
  update(id, (latest) => change(latest, message.id, facts));
}

// Another answer to the message `parent`.
export async function answer(id: string, parent: string): Promise<void> {
  if (controllers.has(id)) return;
  const [grown, message] = add(conversations.get()[id], parent, "assistant", "",
    conversations.get()[id].model);
  update(id, () => grown);
  const controller = new AbortController();
  controllers.set(id, controller);
  await receive(id, message, controller.signal);
  controllers.delete(id);
  setProgress(id, null);
  refreshModels().catch(() => {}); // the model may just have been loaded
}

// A question below `parent`, and the answer to it.
export function ask(id: string, parent: string, text: string): Promise<void> {
  if (controllers.has(id)) return Promise.resolve();
  const [grown, question] = add(conversations.get()[id], parent, "user", text);
  update(id, () => (grown.title ? grown : { ...grown, title: titleOf(text) }));
  return answer(id, question.id);
}

function titleOf(text: string): string {
  const line = text.trim().split("\n")[0];
  return line.length > 60 ? `${line.slice(0, 57)}…` : line;
}
