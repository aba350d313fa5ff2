interface Props {
  side: "a" | "b";
  score: number | null;
  interval: [number, number] | null;
  label: string;
}

// A score from 0 to 10 with its 95% interval.
export const ScoreBar = ({ side, score, interval, label }: Props) => (
  <div class={`score-bar bar-${side}`} role="img" aria-label={label}>
    <span class="track">
      {score !== null && <span class="value" style={{ width: `${score * 10}%` }} />}
      {interval && (
        <span
          class="interval"
          style={{
            left: `${interval[0] * 10}%`,
            width: `${(interval[1] - interval[0]) * 10}%`,
          }}
        />
      )}
    </span>
    <b>{score === null ? "–" : score.toFixed(1)}</b>
  </div>
);
