import { fill, useWords } from "../i18n";
import { when } from "../lib/format";
import { addressOf } from "../lib/place";
import { language } from "../lib/preferences";
import { useStore } from "../lib/store";
import { FailureNote } from "../parts/failure_note";
import { useFetched } from "../parts/use_fetched";
import { fetchRuns, type Run, type RunSide } from "./runs";

function SideLine({ side, name }: { side: RunSide; name: "a" | "b" }) {
  return (
    <span class={`run-side name-${name}`}>
      <span>{side.name ?? "?"}</span>
      <b>{side.score === null ? "–" : side.score.toFixed(1)}</b>
    </span>
  );
}

function RunCard({ run }: { run: Run }) {
  const words = useWords();
  const spoken = useStore(language);
  const facts = [
    run.suite,
    run.items !== null && fill(words.items, { n: run.items }),
    run.started && when(run.started, spoken),
    run.partial && words.partial,
  ].filter(Boolean);
  return (
    <li>
      <a class="run-card" href={addressOf("reports", run.id)}>
        <SideLine side={run.a} name="a" />
        <SideLine side={run.b} name="b" />
        <span class="hint">{facts.join(" · ")}</span>
        <span class="hint folder">{run.folder || "."}</span>
      </a>
    </li>
  );
}

export function RunsView() {
  const words = useWords();
  const { value, failure, again } = useFetched(fetchRuns, "");
  return (
    <section class="runs">
      <h1>{words.reports}</h1>
      <p class="hint">{words.reportsIntro}</p>
      {failure && <FailureNote failure={failure} onRetry={again} />}
      {!value && !failure && <p class="waiting">{words.loading}</p>}
      {value?.runs.length === 0 && (
        <div class="note">
          <p>{value.has_store ? words.noRuns : words.noStore}</p>
          <pre>
            tandem compare MODEL_A MODEL_B --out out/first{"\n"}tandem serve MODEL… --runs out
          </pre>
        </div>
      )}
      <ul>
        {value?.runs.map((run) => (
          <RunCard key={run.id} run={run} />
        ))}
      </ul>
      {value !== undefined && value.not_listed > 0 && (
        <p class="hint">{fill(words.notListed, { n: value.not_listed })}</p>
      )}
    </section>
  );
}
