import { useEffect } from "preact/hooks";
import { fill, useWords } from "../i18n";
import { refreshModels, request } from "../lib/api";
import { bytes, percent, rate } from "../lib/format";
import { useStore } from "../lib/store";
import { useFetched } from "../parts/use_fetched";
import { Charts } from "./charts";
import { history, rates, watch, type Moment } from "./history";
import { total } from "./metrics";
import { ModelTable } from "./model_table";

interface Machine {
  tandem: string;
  cpu: string;
  cpus: number;
  memory_bytes: number;
  system: string;
}

const fetchMachine = async (): Promise<Machine> => (await request("machine")).json();

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div class="card figure">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Figures({ moments }: { moments: Moment[] }) {
  const words = useWords();
  const { metrics } = moments[moments.length - 1];
  const prompts = total(metrics, "tandem_prompt_tokens_total");
  const cached = total(metrics, "tandem_cached_prompt_tokens_total");
  const speed = rates(moments, "tandem_answer_tokens_total").at(-1);
  return (
    <dl class="figures-row">
      <Figure
        name={words.runningRequests}
        value={String(total(metrics, "tandem_requests_running"))}
      />
      <Figure
        name={words.waitingRequests}
        value={String(total(metrics, "tandem_requests_waiting"))}
      />
      <Figure
        name={words.tokensPerSecond}
        value={speed === null || speed === undefined ? "–" : rate(speed)}
      />
      <Figure name={words.cacheHits} value={prompts ? percent(cached / prompts) : "–"} />
      <Figure name={words.residentMemory} value={bytes(total(metrics, "tandem_resident_bytes"))} />
    </dl>
  );
}

export default function StatusView() {
  const words = useWords();
  const moments = useStore(history);
  const machine = useFetched(fetchMachine, "").value;
  useEffect(watch, []);
  useEffect(() => {
    refreshModels().catch(() => {});
  }, [Math.floor(moments.length / 5)]);
  const latest = moments.at(-1);
  return (
    <div class="page">
      <section class="status">
        <h1>{words.status}</h1>
        <p class="hint">
          {machine &&
            fill(words.machine, {
              version: machine.tandem,
              cpu: machine.cpu,
              n: machine.cpus,
              memory: bytes(machine.memory_bytes),
              system: machine.system,
            })}
        </p>
        {!latest && <p class="waiting">{words.loading}</p>}
        {latest && (
          <>
            <Figures moments={moments} />
            <Charts moments={moments} />
            <h2>{words.models}</h2>
            <ModelTable metrics={latest.metrics} />
          </>
        )}
      </section>
    </div>
  );
}
