import { fill, useWords, type Words } from "../i18n";
import type { Group, Report, Score } from "./runs";
import { ScoreBar } from "./score_bar";

export function dimensionName(name: string, words: Words): string {
  const names: Record<string, string> = {
    instruction: words.dimInstruction,
    math: words.dimMath,
    code: words.dimCode,
    structured: words.dimStructured,
    latency: words.dimLatency,
    all: words.dimAll,
  };
  return names[name] ?? name;
}

function finding(group: Group, report: Report, words: Words): string {
  const { paired } = group,
    { a, b } = report.models;
  if (paired.finding === "not_measured") return "";
  const names: Record<string, string> = {
    a_better: fill(words.better, { name: a.name }),
    b_better: fill(words.better, { name: b.name }),
    no_significant_difference: words.noDifference,
  };
  const p = paired.mcnemar_p < 0.001 ? "< 0.001" : `= ${paired.mcnemar_p.toFixed(3)}`;
  return `${names[paired.finding] ?? paired.finding} (p ${p})`;
}

function GroupRow({ group, report }: { group: Group; report: Report }) {
  const words = useWords();
  const label = (s: Score) => fill(words.rightOf, { n: s.right, all: s.n });
  return (
    <div class="group">
      <div>
        <h3>{dimensionName(group.name, words)}</h3>
        <p class="hint">{finding(group, report, words)}</p>
      </div>
      <div>
        {(["a", "b"] as const).map((side) => (
          <ScoreBar
            side={side}
            score={group[side].score}
            interval={group[side].interval}
            label={label(group[side])}
          />
        ))}
      </div>
      <div class="hint counts">
        <span>{label(group.a)}</span>
        <span>{label(group.b)}</span>
      </div>
    </div>
  );
}

function LatencyRow({ report }: { report: Report }) {
  const words = useWords();
  return (
    <div class="group">
      <div>
        <h3>{words.dimLatency}</h3>
      </div>
      <div>
        {(["a", "b"] as const).map((side) => {
          const latency = report.models[side].latency;
          return (
            <ScoreBar
              side={side}
              score={latency?.score ?? null}
              interval={latency?.interval ?? null}
              label={words.dimLatency}
            />
          );
        })}
      </div>
      <div class="hint counts" />
    </div>
  );
}

export const Scores = ({ report }: { report: Report }) => (
  <div class="card groups">
    {[report.all, ...report.dimensions].map((group) => (
      <GroupRow group={group} report={report} />
    ))}
    <LatencyRow report={report} />
  </div>
);
