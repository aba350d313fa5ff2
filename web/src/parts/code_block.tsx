import { useMemo } from "preact/hooks";
import { highlight } from "../lib/highlight";
import { CopyButton } from "./copy_button";

export function CodeBlock({ code, language }: { code: string; language: string }) {
  const name = language.split(/\s/)[0];
  const pieces = useMemo(() => highlight(code, name), [code, name]);
  return (
    <figure class="code">
      <figcaption>
        <span>{name}</span>
        <CopyButton text={code} />
      </figcaption>
      <pre tabIndex={0}>
        <code>
          {pieces.map(([kind, text]) => (kind ? <span class={`code-${kind}`}>{text}</span> : text))}
        </code>
      </pre>
    </figure>
  );
}
