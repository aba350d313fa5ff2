// One round: two contestants, the same prompts. It goes on while another part of the page is shown.
import { streamAnswer, type Answer, type Progress } from "../lib/answer_stream";
import { models, refreshModels, type ChatMessage } from "../lib/api";
import { noSampling, type Sampling } from "../lib/preferences";
import { createStore, createStoredStore } from "../lib/store";
import { newId } from "../chat/tree";
import { cast, type Choice } from "./votes";

export const ANY = "*"; // a model drawn by lot
export const sides = [0, 1] as const;
export type Side = (typeof sides)[number];

export interface Contestant {
  model: string;
  system: string;
  sampling: Sampling;
}

export interface Setup {
  blind: boolean;
  contestants: [Contestant, Contestant];
}

export interface Turn {
  prompt: string;
  answers: [Answer, Answer];
  progress: [Progress | null, Progress | null];
}

export interface Battle {
  id: string;
  blind: boolean;
  contestants: [Contestant, Contestant]; // left and right
  turns: Turn[];
  choice: Choice | null;
}

const nobody: Contestant = { model: "", system: "", sampling: noSampling };
export const setup = createStoredStore<Setup>("tandem.arena", {
  blind: true,
  contestants: [nobody, nobody],
});
export const battle = createStore<Battle | null>(null);
let controller = new AbortController();

// The contestants with models that are there: those chosen, else the first two.
export function chosen({ contestants }: Setup): [Contestant, Contestant] {
  const ids = models.get().map((model) => model.id);
  const known = (side: Side) => {
    const { model } = contestants[side];
    return model === ANY || ids.includes(model)
      ? model
      : (ids[Math.min(side, ids.length - 1)] ?? "");
  };
  return [
    { ...contestants[0], model: known(0) },
    { ...contestants[1], model: known(1) },
  ];
}

export const differ = ([a, b]: [Contestant, Contestant]): boolean =>
  a.model === ANY || b.model === ANY || labelOf(a) !== labelOf(b);

// "qwen", "qwen (temperature 0.2)"; also tells contestants apart in tallies.
export function labelOf({ model, sampling, system }: Contestant): string {
  const settings = Object.entries(sampling)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${value}`);
  if (system.trim()) settings.push(`system: ${system.trim().slice(0, 40)}`);
  return settings.length > 0 ? `${model} (${settings.join(", ")})` : model;
}

function draw([a, b]: [Contestant, Contestant]): [Contestant, Contestant] {
  const ids = models.get().map((model) => model.id);
  const pick = (not: string) => {
    const others = ids.filter((id) => id !== not);
    return others[Math.floor(Math.random() * others.length)] ?? not;
  };
  const first = a.model === ANY ? pick(b.model) : a.model;
  return [
    { ...a, model: first },
    { ...b, model: b.model === ANY ? pick(first) : b.model },
  ];
}

function begin(): Battle {
  const { blind, contestants } = { ...setup.get(), contestants: draw(chosen(setup.get())) };
  const isSwapped = blind && Math.random() < 0.5;
  return {
    id: newId(),
    blind,
    turns: [],
    choice: null,
    contestants: isSwapped ? [contestants[1], contestants[0]] : contestants,
  };
}

export const isBusy = (b: Battle | null): boolean =>
  b?.turns.some((turn) => turn.progress.some((p) => p !== null)) ?? false;

const hasFailed = (b: Battle): boolean =>
  b.turns.some((turn) => turn.answers.some((answer) => answer.failure));

// Names, and the pace that would give them away, stay hidden until the vote. A failure's message
// names the model: that ends a round without one.
export const isHidden = (b: Battle): boolean => b.blind && b.choice === null && !hasFailed(b);
export const isVoid = (b: Battle): boolean => b.blind && hasFailed(b) && !isBusy(b);

// The part of a text that has as many characters as the slower side has; not half of one.
const clip = (text: string, length: number) => text.slice(0, length).replace(/[\ud800-\udbff]$/, "");

// How much of the answers may be seen while it is hidden who is faster: both sides keep step with
// the slower one.
function inStep(turn: Turn): number {
  const coming = sides.filter((side) => turn.progress[side] !== null);
  return Math.min(...coming.map((side) => turn.answers[side].text.length));
}

export const textOf = (b: Battle, turn: Turn, side: Side): string =>
  isHidden(b) ? clip(turn.answers[side].text, inStep(turn)) : turn.answers[side].text;

// Whether there is something to judge.
export const isReady = (b: Battle | null): b is Battle =>
  b !== null &&
  b.turns.length > 0 &&
  b.choice === null &&
  !isBusy(b) &&
  !isVoid(b) &&
  sides.every((side) => b.turns.some((turn) => turn.answers[side].text !== ""));

function messagesOf(b: Battle, side: Side, prompt: string): ChatMessage[] {
  const { system } = b.contestants[side];
  const before = b.turns.flatMap((turn): ChatMessage[] => [
    { role: "user", content: turn.prompt },
    { role: "assistant", content: turn.answers[side].text },
  ]);
  const first: ChatMessage[] = system.trim() ? [{ role: "system", content: system }] : [];
  return [...first, ...before, { role: "user", content: prompt }];
}

function show(id: string, index: number, side: Side, answer: Answer, progress: Progress | null) {
  const replace = <T>(pair: [T, T], value: T): [T, T] =>
    side === 0 ? [value, pair[1]] : [pair[0], value];
  battle.update((b) =>
    b?.id !== id
      ? b
      : {
          ...b,
          turns: b.turns.map((turn, i) =>
            i !== index
              ? turn
              : {
                  ...turn,
                  answers: replace(turn.answers, answer),
                  progress: replace(turn.progress, progress),
                },
          ),
        },
  );
}

// Both answers of a blind round that was stopped, with no more than was to be seen of them.
function keepStep(id: string, index: number, answers: [Answer, Answer]): void {
  const stopped = answers.filter((answer) => answer.finish === "stopped");
  const length = Math.min(...stopped.map((answer) => answer.text.length));
  for (const side of sides) {
    const text = clip(answers[side].text, length);
    const finish = text === answers[side].text ? answers[side].finish : "stopped";
    show(id, index, side, { ...answers[side], text, finish }, null);
  }
}

// Asks both; after a vote this begins a new round.
export async function ask(prompt: string): Promise<void> {
  const now = battle.get();
  if (isBusy(now)) return;
  const b = now && now.choice === null && !isVoid(now) ? now : begin();
  const index = b.turns.length;
  const waiting: Progress = { started: 0, firstToken: 0, pieces: 0, now: 0 };
  battle.set({
    ...b,
    turns: [
      ...b.turns,
      {
        prompt,
        answers: [{ text: "" }, { text: "" }],
        progress: [waiting, waiting],
      },
    ],
  });
  controller = new AbortController();
  const { signal } = controller;
  const isCut = () => b.blind && signal.aborted;
  const answers = await Promise.all(
    sides.map(async (side) => {
      const { model, sampling } = b.contestants[side];
      const whole = await streamAnswer(
        model,
        messagesOf(b, side, prompt),
        sampling,
        signal,
        (answer, progress) => show(b.id, index, side, answer, progress),
      );
      if (!isCut()) show(b.id, index, side, whole, null);
      return whole;
    }),
  );
  if (isCut()) keepStep(b.id, index, answers as [Answer, Answer]);
  refreshModels().catch(() => {});
}

export const stop = (): void => controller.abort();

export function newRound(): void {
  stop();
  battle.set(null);
}

export function vote(choice: Choice): Promise<unknown> {
  const b = battle.get()!;
  battle.set({ ...b, choice });
  return cast({
    id: b.id,
    time: Date.now(),
    blind: b.blind,
    a: labelOf(b.contestants[0]),
    b: labelOf(b.contestants[1]),
    choice,
    prompts: b.turns.map((turn) => turn.prompt),
    answers: [
      b.turns.map((turn) => turn.answers[0].text),
      b.turns.map((turn) => turn.answers[1].text),
    ],
  });
}
