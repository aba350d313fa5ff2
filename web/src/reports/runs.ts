// The store of runs: what the server lists, and the reports themselves (docs/report.md).
import { request } from "../lib/api";

type Interval = [number, number];

export interface RunSide {
  name: string | null;
  score: number | null;
  interval: Interval | null;
  right: number | null;
  n: number | null;
}

export interface Run {
  id: string;
  folder: string;
  started: string | null;
  partial: boolean | null;
  suite: string | null;
  items: number | null;
  a: RunSide;
  b: RunSide;
}

export interface RunList {
  runs: Run[];
  not_listed: number;
  has_store: boolean;
}

export interface Score {
  score: number | null;
  interval: Interval;
  right: number;
  n: number;
}

export interface Group {
  name: string;
  a: Score;
  b: Score;
  paired: { mcnemar_p: number; finding: string; only_a_right: number; only_b_right: number };
}

interface Spread {
  median: number;
  p95: number;
}

export interface Candidate {
  name: string;
  failure: string | null;
  family?: string;
  parameters?: number;
  weight_type?: string;
  peak_bytes?: number;
  load_seconds?: number;
  latency?: {
    score: number | null;
    interval: Interval | null;
    first_token_seconds: Spread | null;
    prompt_tokens_per_second: Spread | null;
    generation_tokens_per_second: Spread | null;
  };
}

export interface ItemAnswer {
  text: string;
  finish: string;
  answer_tokens: number;
  total_seconds: number;
  verdict: { verdict: string; reason: string | null };
}

export interface Item {
  id: string;
  dimension: string;
  language: string;
  prompt: string;
  reference: string | null;
  a: ItemAnswer | null;
  b: ItemAnswer | null;
}

export interface Advice {
  scenario: string;
  scenario_zh: string;
  choice: string;
  why: string;
  why_zh: string;
}

export interface Report {
  started: string;
  seconds: number;
  partial: boolean;
  notices: string[];
  environment: { tandem: string; cpu: string; cpus: number };
  suite: { name: string; items: number };
  models: { a: Candidate; b: Candidate };
  dimensions: Group[];
  all: Group;
  advice: Advice[];
  items: Item[];
}

export const fetchRuns = async (): Promise<RunList> => (await request("runs")).json();
export const reportAddress = (id: string): string => `runs/${id}/report.html`;
export const fetchReport = async (id: string): Promise<Report> =>
  (await request(`runs/${id}/report.json`)).json();
export const fetchReportPage = async (id: string): Promise<string> =>
  (await request(reportAddress(id))).text();
