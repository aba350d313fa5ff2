import { useWords } from "../i18n";
import { lastSampling, noSampling, type Sampling } from "../lib/preferences";
import { IconButton } from "../parts/icon_button";
import { SamplingFields } from "../parts/sampling_fields";

interface Props {
  system: string;
  sampling: Sampling;
  onChange: (fields: { system?: string; sampling?: Sampling }) => void;
  onClose: () => void;
}

export function ChatSettings({ system, sampling, onChange, onClose }: Props) {
  const words = useWords();
  const setSampling = (value: Sampling) => {
    lastSampling.set(value);
    onChange({ sampling: value });
  };
  return (
    <aside class="panel" aria-label={words.settings}>
      <header>
        <h2>{words.settings}</h2>
        <IconButton icon="close" label={words.close} onClick={onClose} />
      </header>
      <label class="field wide">
        <span>{words.system}</span>
        <textarea
          rows={5}
          placeholder={words.systemHint}
          value={system}
          onInput={(event) => onChange({ system: event.currentTarget.value })}
        />
      </label>
      <h3>{words.sampling}</h3>
      <p class="hint">{words.samplingHint}</p>
      <SamplingFields value={sampling} onChange={setSampling} />
      <button type="button" onClick={() => setSampling(noSampling)}>
        {words.reset}
      </button>
    </aside>
  );
}
