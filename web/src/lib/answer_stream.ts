// An answer as it comes, for the chat and the arena.
import { ApiError, streamChat, type ChatMessage, type Timings, type Usage } from "./api";
import type { Sampling } from "./preferences";

export interface Failure {
  status: number;
  code: string;
  message: string;
}

export interface Answer {
  text: string;
  finish?: string; // the API's finish_reason, or "stopped"
  usage?: Usage;
  timings?: Timings;
  failure?: Failure;
}

// What is known while it comes; times in milliseconds.
export interface Progress {
  started: number;
  firstToken: number; // 0: none yet
  pieces: number;
  now: number;
}

const SHOW_EVERY = 33;
const SHOW_HIDDEN_EVERY = 500; // while nobody looks

export function toFailure(error: unknown): Failure {
  if (error instanceof ApiError)
    return { status: error.status, code: error.code, message: error.message };
  return { status: 0, code: "connection_lost", message: String(error) };
}

// Resolves when the answer is complete, stopped or failed. Text comes faster than the screen is
// drawn: `show` is called once per frame.
export async function streamAnswer(
  model: string,
  messages: ChatMessage[],
  sampling: Sampling,
  signal: AbortSignal,
  show: (answer: Answer, progress: Progress) => void,
): Promise<Answer> {
  const answer: Answer = { text: "" };
  const started = performance.now();
  const progress: Progress = { started, firstToken: 0, pieces: 0, now: started };
  let timer = 0;
  const flush = () => {
    timer = 0;
    show({ ...answer }, { ...progress, now: performance.now() });
  };
  flush();
  try {
    for await (const piece of streamChat(model, messages, sampling, signal)) {
      answer.text += piece.text;
      answer.finish = piece.finish ?? answer.finish;
      answer.usage = piece.usage ?? answer.usage;
      answer.timings = piece.timings ?? answer.timings;
      if (piece.text) progress.pieces++;
      if (piece.text && !progress.firstToken) progress.firstToken = performance.now();
      timer ||= window.setTimeout(flush, document.hidden ? SHOW_HIDDEN_EVERY : SHOW_EVERY);
    }
  } catch (error) {
    if (signal.aborted) answer.finish = "stopped";
    else answer.failure = toFailure(error);
  }
  clearTimeout(timer);
  return answer;
}
