// The server's API, as far as the page uses it.
import { apiKey, type Sampling } from "./preferences";
import { createStore } from "./store";
import { readEvents } from "./events";

export interface Model {
  id: string;
  loaded: boolean;
  adapter_of?: string;
  family?: string;
  parameters?: number;
  weight_type?: string;
  context_length?: number;
  memory_bytes?: number;
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens: number };
}

export interface Timings {
  queue_seconds: number;
  prefill_seconds: number;
  first_token_seconds: number;
  decode_seconds: number;
  total_seconds: number;
}

export interface ChatPiece {
  text: string;
  finish?: string;
  usage?: Usage;
  timings?: Timings;
}

// A refusal of the server; status 0: it could not be reached, or the answer broke off.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

// Set when the server wants a key that it was not given.
export const keyWanted = createStore(false);
export const reachable = createStore(true);
export const models = createStore<Model[]>([]);

interface ErrorBody {
  error?: { message?: string; code?: string | null };
}

async function refusal(reply: Response): Promise<ApiError> {
  let body: ErrorBody = {};
  try {
    body = await reply.json();
  } catch {
    // Not from the API: a proxy's page, say.
  }
  if (reply.status === 401) keyWanted.set(true);
  return new ApiError(
    reply.status,
    body.error?.code ?? "http_error",
    body.error?.message ?? `HTTP ${reply.status} ${reply.statusText}`,
  );
}

// Paths are relative, so that the page works below a proxy's path as well.
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey.get()) headers.set("Authorization", `Bearer ${apiKey.get()}`);
  let reply: Response;
  try {
    reply = await fetch(path, { ...init, headers, cache: "no-store" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    reachable.set(false);
    throw new ApiError(0, "unreachable", String(error));
  }
  reachable.set(true);
  if (!reply.ok) throw await refusal(reply);
  return reply;
}

function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return request(path, {
    method: "POST",
    body: JSON.stringify(body),
    signal,
    headers: { "Content-Type": "application/json" },
  });
}

export async function refreshModels(): Promise<void> {
  const reply = await request("v1/models");
  models.set(((await reply.json()) as { data: Model[] }).data);
  keyWanted.set(false);
}

export async function countTokens(
  model: string,
  messages: ChatMessage[],
  signal: AbortSignal,
): Promise<{ count: number; max_model_len: number }> {
  return (await post("tokenize", { model, messages }, signal)).json();
}

const given = (sampling: Sampling) =>
  Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== null));

interface Chunk extends ErrorBody {
  choices?: { delta: { content?: string | null }; finish_reason: string | null }[];
  usage?: Usage | null;
  timings?: Timings;
}

export async function* streamChat(
  model: string,
  messages: ChatMessage[],
  sampling: Sampling,
  signal: AbortSignal,
): AsyncGenerator<ChatPiece> {
  const reply = await post(
    "v1/chat/completions",
    {
      model,
      messages,
      ...given(sampling),
      stream: true,
      stream_options: { include_usage: true },
    },
    signal,
  );
  for await (const data of readEvents(reply)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error)
      throw new ApiError(500, chunk.error.code ?? "error", chunk.error.message ?? data);
    const choice = chunk.choices?.[0];
    yield {
      text: choice?.delta.content ?? "",
      finish: choice?.finish_reason ?? undefined,
      usage: chunk.usage ?? undefined,
      timings: chunk.timings,
    };
  }
  throw new ApiError(0, "connection_lost", "the connection ended in the middle of the answer");
}
