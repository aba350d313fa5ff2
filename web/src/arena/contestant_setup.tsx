import { useWords } from "../i18n";
import { SamplingFields } from "../parts/sampling_fields";
import { ModelSelect } from "../parts/model_select";
import { ANY, type Contestant, type Side } from "./battle";

interface Props {
  side: Side;
  contestant: Contestant;
  onChange: (contestant: Contestant) => void;
}

export function ContestantSetup({ side, contestant, onChange }: Props) {
  const words = useWords();
  const label = side === 0 ? words.modelA : words.modelB;
  return (
    <fieldset class={`contestant side-${side}`}>
      <legend class="only-heard">{label}</legend>
      <ModelSelect
        label={label}
        value={contestant.model}
        extra={{ id: ANY, name: words.anyModel }}
        onChange={(model) => onChange({ ...contestant, model })}
      />
      <details>
        <summary>{words.sideSettings}</summary>
        <label class="field wide">
          <span>{words.system}</span>
          <textarea
            rows={2}
            placeholder={words.systemHint}
            value={contestant.system}
            onInput={(event) => onChange({ ...contestant, system: event.currentTarget.value })}
          />
        </label>
        <SamplingFields
          value={contestant.sampling}
          onChange={(sampling) => onChange({ ...contestant, sampling })}
        />
      </details>
    </fieldset>
  );
}
