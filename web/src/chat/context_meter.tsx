import { useEffect, useState } from "preact/hooks";
import { fill, useWords } from "../i18n";
import { countTokens, models, type ChatMessage } from "../lib/api";
import { useStore } from "../lib/store";

const WAIT = 400; // milliseconds without a key pressed

interface Props {
  model: string;
  messages: ChatMessage[]; // with the draft
  isPaused: boolean; // while an answer comes: shows what was counted last
}

// How much of the context the next request would take. Nothing is loaded for this.
export function ContextMeter({ model, messages, isPaused }: Props) {
  const words = useWords();
  const [use, setUse] = useState<{ count: number; max_model_len: number } | null>(null);
  const isLoaded = useStore(models).some((entry) => entry.id === model && entry.loaded);
  const key = JSON.stringify(messages);
  useEffect(() => {
    if (isPaused) return undefined;
    if (!isLoaded || messages.length === 0) {
      setUse(null);
      return undefined;
    }
    const controller = new AbortController();
    const timer = setTimeout(() => {
      countTokens(model, messages, controller.signal).then(setUse, () => {});
    }, WAIT);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [model, isLoaded, isPaused, key]);
  if (!use) return null;
  const share = Math.min(1, use.count / use.max_model_len);
  const text = fill(words.contextUse, { used: use.count, size: use.max_model_len });
  return (
    <span
      class={`meter ${share > 0.9 ? "is-full" : ""}`}
      title={text}
      role="meter"
      aria-label={words.context}
      aria-valuemin={0}
      aria-valuemax={use.max_model_len}
      aria-valuenow={use.count}
      aria-valuetext={text}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="10" r="8" />
        <circle cx="10" cy="10" r="8" pathLength={100} stroke-dasharray={`${share * 100} 100`} />
      </svg>
      <span>
        {use.count}
        <span class="of"> / {use.max_model_len}</span>
      </span>
    </span>
  );
}
