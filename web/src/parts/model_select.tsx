import { fill, useWords } from "../i18n";
import { models, type Model } from "../lib/api";
import { useStore } from "../lib/store";

interface Props {
  label: string;
  value: string;
  onChange: (model: string) => void;
  extra?: { id: string; name: string }; // one more choice
}

// The models, each followed by itself with its adapters.
export function ModelSelect({ label, value, onChange, extra }: Props) {
  const words = useWords();
  const list = useStore(models);
  const nameOf = (model: Model) =>
    model.adapter_of
      ? fill(words.adapterOf, {
          model: model.adapter_of,
          adapter: model.id.slice(model.adapter_of.length + 1),
        })
      : model.id;
  const isGone = value !== extra?.id && !list.some((model) => model.id === value);
  if (list.length === 0) return <span class="hint">{words.noModel}</span>;
  return (
    <select
      class="model-select"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      {isGone && (
        <option value={value} disabled>
          {value}
        </option>
      )}
      {list.map((model) => (
        <option value={model.id}>{nameOf(model)}</option>
      ))}
      {extra && <option value={extra.id}>{extra.name}</option>}
    </select>
  );
}
