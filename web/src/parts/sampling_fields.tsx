import { useWords } from "../i18n";
import type { Sampling } from "../lib/preferences";

interface Bounds {
  min: number;
  max?: number;
  step: number;
}

const bounds: Record<keyof Sampling, Bounds> = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0.01, max: 1, step: 0.01 },
  top_k: { min: 0, step: 1 },
  min_p: { min: 0, max: 1, step: 0.01 },
  repetition_penalty: { min: 0.1, max: 10, step: 0.05 },
  max_tokens: { min: 1, step: 1 },
  seed: { min: 0, step: 1 },
};

interface Props {
  value: Sampling;
  onChange: (value: Sampling) => void;
}

export function SamplingFields({ value, onChange }: Props) {
  const words = useWords();
  const set = (name: keyof Sampling, input: HTMLInputElement) => {
    if (input.validity.badInput) return;
    onChange({ ...value, [name]: input.value === "" ? null : Number(input.value) });
  };
  return (
    <div class="fields">
      {(Object.keys(bounds) as (keyof Sampling)[]).map((name) => (
        <label class="field" title={name === "temperature" ? words.temperatureHint : undefined}>
          <span>{words[name]}</span>
          <input
            type="number"
            name={name}
            inputMode="decimal"
            {...bounds[name]}
            step="any"
            placeholder={words.defaultValue}
            value={value[name] ?? ""}
            onChange={(event) => set(name, event.currentTarget)}
          />
        </label>
      ))}
    </div>
  );
}
