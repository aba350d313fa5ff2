// Votes, kept in the browser, and what they add up to.
import { onForeignChange, readAll, removeAll, write } from "../lib/database";
import { wilson } from "../lib/statistics";
import { createStore } from "../lib/store";

export const choices = ["a", "b", "tie", "bad"] as const;
export type Choice = (typeof choices)[number];

export interface Vote {
  id: string;
  time: number;
  blind: boolean;
  a: string; // who answered on the left
  b: string;
  choice: Choice;
  prompts: string[];
  answers: [string[], string[]]; // of a, of b
}

// Of two contestants, first the one with more wins.
export interface Tally {
  names: [string, string];
  wins: [number, number];
  ties: number;
  bad: number;
  n: number;
  decided: number;
  share?: { value: number; low: number; high: number }; // of the first, of the decided votes
}

export const votes = createStore<Vote[]>([]);
let isKept = false;

async function read(): Promise<void> {
  votes.set((await readAll<Vote>("battles")).sort((x, y) => x.time - y.time));
}

export async function keepVotes(): Promise<void> {
  if (isKept) return;
  isKept = true;
  onForeignChange("battles", () => void read());
  await read();
}

export function cast(vote: Vote): Promise<void> {
  votes.update((all) => [...all, vote]);
  return write("battles", vote);
}

export function clearVotes(): Promise<void> {
  votes.set([]);
  return removeAll("battles");
}

function count(tally: Tally, vote: Vote): void {
  tally.n++;
  if (vote.choice === "tie") tally.ties++;
  else if (vote.choice === "bad") tally.bad++;
  else tally.wins[vote[vote.choice] === tally.names[0] ? 0 : 1]++;
}

function conclude(tally: Tally): Tally {
  const [first, second] = tally.wins,
    decided = first + second;
  if (decided === 0) return tally;
  if (second > first)
    return conclude({ ...tally, names: [tally.names[1], tally.names[0]], wins: [second, first] });
  return { ...tally, decided, share: { value: first / decided, ...wilson(first, decided) } };
}

export function tallies(list: Vote[]): Tally[] {
  const pairs = new Map<string, Tally>();
  for (const vote of list) {
    const names = [vote.a, vote.b].sort() as [string, string];
    const key = JSON.stringify(names);
    if (!pairs.has(key)) pairs.set(key, { names, wins: [0, 0], ties: 0, bad: 0, n: 0, decided: 0 });
    count(pairs.get(key)!, vote);
  }
  return [...pairs.values()].map(conclude).sort((x, y) => y.n - x.n);
}

// A cell; what a spreadsheet would take for a formula becomes text.
function cell(value: string | number | boolean): string {
  const text = String(value);
  return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replace(/"/g, '""')}"`;
}

export function toCsv(list: Vote[]): string {
  const rows = list.map((v) => [
    new Date(v.time).toISOString(),
    v.blind,
    v.a,
    v.b,
    v.choice,
    v.prompts.join("\n---\n"),
    v.answers[0].join("\n---\n"),
    v.answers[1].join("\n---\n"),
  ]);
  return (
    [["time", "blind", "a", "b", "choice", "prompts", "answers_a", "answers_b"], ...rows]
      .map((row) => row.map(cell).join(","))
      .join("\r\n") + "\r\n"
  );
}

export const toJson = (list: Vote[]): string =>
  JSON.stringify({ format: "tandem-votes", version: 1, votes: list }, null, 2) + "\n";
