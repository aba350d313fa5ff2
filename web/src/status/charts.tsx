import { useWords } from "../i18n";
import { theme } from "../lib/preferences";
import { useStore } from "../lib/store";
import { cacheUse, latencies, latestModels, levels, rates, type Moment } from "./history";
import { LineChart } from "./line_chart";

const COLORS = ["--a", "--b", "--good", "--code-keyword", "--bad", "--soft"];
const FIRST_TOKEN = "tandem_time_to_first_token_seconds";
const INTER_TOKEN = "tandem_inter_token_seconds";

export function Charts({ moments }: { moments: Moment[] }) {
  const words = useWords();
  const chosen = useStore(theme);
  const drawn = `${chosen} ${document.documentElement.dataset.theme} ${words.load}`;
  const names = latestModels(moments);
  const common = { times: moments.map((moment) => moment.time), theme: drawn };
  const perModel = (values: (model: string) => (number | null)[]) =>
    names.map((name, i) => ({ name, values: values(name), color: COLORS[i % COLORS.length] }));
  const quantiles = (metric: string) => [
    { name: "p50", values: latencies(moments, metric, 0.5), color: "--a" },
    { name: "p99", values: latencies(moments, metric, 0.99), color: "--b" },
  ];
  return (
    <div class="charts">
      <LineChart
        {...common}
        title={words.load}
        unit={words.requests}
        max={4}
        lines={[
          {
            name: words.runningRequests,
            values: levels(moments, "tandem_requests_running"),
            color: "--a",
          },
          {
            name: words.waitingRequests,
            values: levels(moments, "tandem_requests_waiting"),
            color: "--b",
          },
        ]}
      />
      <LineChart
        {...common}
        title={words.speed}
        unit={words.tokensPerSecond}
        max={10}
        lines={perModel((model) => rates(moments, "tandem_answer_tokens_total", model))}
      />
      <LineChart
        {...common}
        title={words.firstTokenTime}
        unit="ms"
        max={10}
        lines={quantiles(FIRST_TOKEN)}
      />
      <LineChart
        {...common}
        title={words.interToken}
        unit="ms"
        max={10}
        lines={quantiles(INTER_TOKEN)}
      />
      <LineChart
        {...common}
        title={words.cacheUse}
        unit="%"
        max={100}
        lines={perModel((model) => cacheUse(moments, model))}
      />
      <LineChart
        {...common}
        title={words.memory}
        unit="MiB"
        max={10}
        lines={perModel((model) =>
          levels(moments, "tandem_model_memory_bytes", model).map((value) =>
            value === null ? null : value / 1048576,
          ),
        )}
      />
    </div>
  );
}
