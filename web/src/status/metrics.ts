// What GET /metrics says (Prometheus' text format), and figures between two looks at it.
import { request } from "../lib/api";

interface Sample {
  labels: Record<string, string>;
  value: number;
}

export type Metrics = Map<string, Sample[]>;

export function parse(text: string): Metrics {
  const metrics: Metrics = new Map();
  for (const line of text.split("\n")) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels: Record<string, string> = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[name] = value.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
    const samples = metrics.get(match[1]) ?? [];
    samples.push({ labels, value: Number(match[3]) }); // "+Inf" occurs in labels only
    metrics.set(match[1], samples);
  }
  return metrics;
}

export const fetchMetrics = async (): Promise<Metrics> =>
  parse(await (await request("metrics")).text());

// Of one model, or of all together.
export function total(metrics: Metrics, name: string, model?: string): number {
  return (metrics.get(name) ?? [])
    .filter((sample) => model === undefined || sample.labels.model === model)
    .reduce((sum, sample) => sum + sample.value, 0);
}

export const modelsOf = (metrics: Metrics): string[] =>
  (metrics.get("tandem_model_loaded") ?? []).map((sample) => sample.labels.model);

// Cumulative counts by upper bound, over all models.
function buckets(metrics: Metrics, name: string): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  return counts;
}

// The quantile of what a histogram counted between two looks, in its unit; null: nothing. Within a
// bucket, values are taken to lie evenly.
export function quantile(
  before: Metrics,
  now: Metrics,
  name: string,
  share: number,
): number | null {
  const old = buckets(before, name);
  const counts = [...buckets(now, name)]
    .sort(([x], [y]) => x - y)
    .map(([bound, n]) => [bound, n - (old.get(bound) ?? 0)] as const);
  const rank = share * (counts.at(-1)?.[1] ?? 0);
  if (!(rank > 0)) return null;
  let lower = 0,
    below = 0;
  for (const [bound, n] of counts) {
    if (n >= rank)
      return bound === Infinity ? lower : lower + (bound - lower) * ((rank - below) / (n - below));
    lower = bound;
    below = n;
  }
  return lower;
}
