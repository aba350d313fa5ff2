import {
  Chart,
  Filler,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
} from "chart.js";
import { useEffect, useRef } from "preact/hooks";
import type { Series } from "./history";

Chart.register(Filler, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip);

export interface Line {
  name: string;
  values: Series;
  color: string; // a custom property: "--a"
}

interface Props {
  title: string;
  unit: string;
  times: number[];
  lines: Line[];
  max?: number;
  theme: string; // colours are read again when it changes
}

const colorOf = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const SHORTEST = 60000,
  LONGEST = 300000; // milliseconds that are shown

const ago = (ms: number): string =>
  ms === 0 ? "0" : ms % 60000 === 0 ? `${ms / 60000} min` : `${Math.round(ms / 1000)} s`;

// From how long ago to show: minutes grow with the history.
function earliest(times: number[]): number {
  const span = times.length > 0 ? times[times.length - 1] - times[0] : 0;
  return -Math.min(LONGEST, Math.max(SHORTEST, Math.ceil(span / SHORTEST) * SHORTEST));
}

function datasets({ lines, times }: Props) {
  const now = times.at(-1) ?? 0;
  return lines.map(({ name, values, color }) => ({
    label: name,
    borderColor: colorOf(color),
    backgroundColor: `${colorOf(color)}1a`,
    data: values.map((y, i) => ({ x: times[i] - now, y: y as number })),
    fill: lines.length === 1,
    borderWidth: 2,
    pointRadius: 0,
    tension: 0.25,
    spanGaps: false,
  }));
}

function create(canvas: HTMLCanvasElement, props: Props): Chart {
  const soft = colorOf("--soft"),
    line = colorOf("--line");
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  return new Chart(canvas, {
    type: "line",
    data: { datasets: datasets(props) },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      parsing: false,
      interaction: { mode: "index", intersect: false },
      color: soft,
      scales: {
        x: {
          type: "linear",
          min: earliest(props.times),
          max: 0,
          grid: { display: false },
          border: { color: line },
          ticks: {
            color: soft,
            stepSize: 30000,
            maxTicksLimit: 6,
            callback: (value) => ago(Number(value)),
          },
        },
        y: {
          beginAtZero: true,
          suggestedMax: props.max ?? 1,
          border: { display: false },
          grid: { color: line },
          ticks: { color: soft, maxTicksLimit: 5 },
        },
      },
      plugins: {
        legend: {
          position: "bottom",
          align: "start",
          labels: { color: soft, boxWidth: 10, boxHeight: 2, padding: 14 },
        },
        tooltip: {
          callbacks: {
            title: (items) => ago(items[0]?.parsed.x ?? 0),
            label: (item) =>
              `${item.dataset.label}: ${(item.parsed.y ?? 0).toFixed(1)} ${props.unit}`,
          },
        },
      },
    },
  });
}

export function LineChart(props: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const chart = useRef<Chart | null>(null);
  const names = props.lines.map((line) => line.name).join("\n");
  useEffect(() => {
    chart.current = create(canvas.current!, props);
    return () => chart.current?.destroy();
  }, [props.theme, names]);
  useEffect(() => {
    datasets(props).forEach((set, i) => {
      chart.current!.data.datasets[i].data = set.data;
    });
    chart.current!.options.scales!.x!.min = earliest(props.times);
    chart.current!.update("none");
  });
  const latest = props.lines.map(
    ({ name, values }) => `${name} ${values.at(-1)?.toFixed(1) ?? "–"}`,
  );
  return (
    <figure class="card chart">
      <figcaption>
        <h3>{props.title}</h3>
        <span class="hint">{props.unit}</span>
      </figcaption>
      <div>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${props.title}, ${props.unit}: ${latest.join(", ")}`}
        />
      </div>
    </figure>
  );
}
