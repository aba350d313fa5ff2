import { useWords } from "../i18n";
import { bytes, parameters, rate, seconds } from "../lib/format";
import type { Candidate, Report } from "./runs";

const show = <T,>(value: T | null | undefined, form: (value: T) => string): string =>
  value === null || value === undefined ? "–" : form(value);

// Speed and size of both models.
export function FactsTable({ report }: { report: Report }) {
  const words = useWords();
  const { a, b } = report.models;
  const rows: [string, (c: Candidate) => string][] = [
    [words.family, (c) => c.family ?? "–"],
    [words.parameters, (c) => show(c.parameters, parameters)],
    [words.weights, (c) => c.weight_type ?? "–"],
    [words.firstTokenTime, (c) => show(c.latency?.first_token_seconds?.median, seconds)],
    [words.promptRate, (c) => show(c.latency?.prompt_tokens_per_second?.median, rate)],
    [words.answerRate, (c) => show(c.latency?.generation_tokens_per_second?.median, rate)],
    [words.loadTime, (c) => show(c.load_seconds, seconds)],
    [words.peakMemory, (c) => show(c.peak_bytes, bytes)],
  ];
  return (
    <div class="card scroll">
      <table class="facts">
        <thead>
          <tr>
            <th />
            <th class="name-a" scope="col">
              {a.name}
            </th>
            <th class="name-b" scope="col">
              {b.name}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, value]) => (
            <tr>
              <th scope="row">{name}</th>
              <td>{value(a)}</td>
              <td>{value(b)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
