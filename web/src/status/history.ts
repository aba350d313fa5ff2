// The latest minutes of the server, as long as somebody looks.
import { createStore } from "../lib/store";
import { fetchMetrics, modelsOf, quantile, total, type Metrics } from "./metrics";

const EVERY = 2000; // milliseconds
const KEPT = 150;
const WINDOW = 15; // looks that latencies are taken over

export interface Moment {
  time: number;
  metrics: Metrics;
}

export const history = createStore<Moment[]>([]);

async function look(): Promise<void> {
  const metrics = await fetchMetrics();
  history.update((all) => [...all, { time: Date.now(), metrics }].slice(-KEPT));
}

// Looks again and again while the page is visible; returns how to end that.
export function watch(): () => void {
  let timer = 0,
    isOver = false;
  const again = async () => {
    if (!document.hidden) await look().catch(() => {}); // the banner says what is wrong
    if (!isOver) timer = window.setTimeout(again, EVERY);
  };
  void again();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

export type Series = (number | null)[];

// How much a counter grew per second, up to each moment.
export function rates(moments: Moment[], name: string, model?: string): Series {
  return moments.map((moment, i) => {
    const before = moments[i - 1];
    if (!before) return null;
    const grown = total(moment.metrics, name, model) - total(before.metrics, name, model);
    return grown < 0 ? null : (grown * 1000) / (moment.time - before.time); // < 0: restarted
  });
}

export const levels = (moments: Moment[], name: string, model?: string): Series =>
  moments.map(({ metrics }) => total(metrics, name, model));

// Milliseconds.
export function latencies(moments: Moment[], name: string, share: number): Series {
  return moments.map(({ metrics }, i) => {
    const before = moments[Math.max(0, i - WINDOW)];
    const value = i === 0 ? null : quantile(before.metrics, metrics, name, share);
    return value === null ? null : value * 1000;
  });
}

export function cacheUse(moments: Moment[], model: string): Series {
  return moments.map(({ metrics }) => {
    const size = total(metrics, "tandem_kv_cache_positions", model);
    return size ? (100 * total(metrics, "tandem_kv_cache_used_positions", model)) / size : null;
  });
}

export const latestModels = (moments: Moment[]): string[] =>
  moments.length > 0 ? modelsOf(moments[moments.length - 1].metrics) : [];
