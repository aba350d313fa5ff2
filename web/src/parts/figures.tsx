import { fill, useWords } from "../i18n";
import { rate, seconds } from "../lib/format";
import type { Answer, Progress } from "../lib/answer_stream";

interface Facts {
  firstToken: number; // seconds; 0: unknown
  speed: number; // tokens per second; 0: unknown
}

function live(progress: Progress): Facts {
  const firstToken = progress.firstToken ? (progress.firstToken - progress.started) / 1000 : 0;
  const spent = (progress.now - progress.firstToken) / 1000;
  return { firstToken, speed: firstToken && spent > 0.05 ? (progress.pieces - 1) / spent : 0 };
}

// The server's own figures. The first token belongs to the prompt's time.
function final({ timings, usage }: Answer): Facts {
  if (!timings || !usage) return { firstToken: 0, speed: 0 };
  const tokens = usage.completion_tokens - 1;
  const isTimed = tokens > 0 && timings.decode_seconds > 0;
  return {
    firstToken: timings.first_token_seconds,
    speed: isTimed ? tokens / timings.decode_seconds : 0,
  };
}

// How long the first token took, tokens per second, and how the answer ended.
export function Figures({ answer, progress }: { answer: Answer; progress?: Progress }) {
  const words = useWords();
  const { firstToken, speed } = progress ? live(progress) : final(answer);
  const cached = answer.usage?.prompt_tokens_details?.cached_tokens ?? 0;
  const parts = [
    answer.finish === "stopped" && words.stopped,
    answer.finish === "length" && words.cut,
    answer.usage && fill(words.tokens, { n: answer.usage.completion_tokens }),
    firstToken > 0 && fill(words.firstToken, { time: seconds(firstToken) }),
    speed > 0 && fill(words.rate, { rate: rate(speed) }),
  ].filter(Boolean);
  const hint = cached
    ? fill(words.cached, { n: cached, all: answer.usage!.prompt_tokens })
    : undefined;
  return (
    <span class="figures" title={hint}>
      {parts.join(" · ")}
    </span>
  );
}
