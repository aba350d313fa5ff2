import { useWords, type Words } from "../i18n";
import type { Failure } from "../lib/answer_stream";

// What to do about a refusal, by its code (docs/serving.md lists them).
function remedyOf(failure: Failure, words: Words): string {
  const remedies: Record<string, string> = {
    unreachable: words.remedyUnreachable,
    connection_lost: words.remedyUnreachable,
    context_length_exceeded: words.remedyContext,
    queue_full: words.remedyQueue,
    models_busy: words.remedyQueue,
    out_of_memory: words.remedyMemory,
    timeout: words.remedyTimeout,
    invalid_api_key: words.remedyKey,
    shutting_down: words.remedyShutdown,
  };
  return remedies[failure.code] ?? "";
}

function titleOf(failure: Failure, words: Words): string {
  if (failure.code === "unreachable") return words.errorUnreachable;
  return failure.code === "connection_lost" ? words.errorLost : failure.message;
}

interface Props {
  failure: Failure;
  onRetry?: () => void;
}

export function FailureNote({ failure, onRetry }: Props) {
  const words = useWords();
  return (
    <div class="note error" role="alert">
      <p>
        <strong>{words.errorTitle}</strong> {titleOf(failure, words)}
      </p>
      <p>{remedyOf(failure, words)}</p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {words.tryAgain}
        </button>
      )}
    </div>
  );
}
