import { fill, useWords } from "../i18n";
import { Logo } from "../parts/logo";

interface Props {
  model: string;
  onPick: (text: string) => void;
}

export function Welcome({ model, onPick }: Props) {
  const words = useWords();
  const samples = [words.sample1, words.sample2, words.sample3, words.sample4];
  return (
    <div class="welcome">
      <Logo />
      <h1>{words.greeting}</h1>
      <p class="hint">{model && fill(words.greetingHint, { model })}</p>
      <div class="samples">
        {samples.map((sample) => (
          <button type="button" disabled={!model} onClick={() => onPick(sample)}>
            {sample}
          </button>
        ))}
      </div>
    </div>
  );
}
