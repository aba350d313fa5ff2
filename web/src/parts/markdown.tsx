import { useMemo } from "preact/hooks";
import type { Tokens } from "marked";
import { parseBlocks, toHtml, type Token } from "../lib/markdown";
import { CodeBlock } from "./code_block";

function HtmlBlock({ token }: { token: Token }) {
  const html = useMemo(() => toHtml([token]), [token.raw]);
  return <div class="html" dangerouslySetInnerHTML={{ __html: html }} />;
}

function ListBlock({ list }: { list: Tokens.List }) {
  const items = list.items.map((item) => (
    <li class={item.task ? "task" : ""}>
      {item.task && <input type="checkbox" checked={item.checked} disabled />}
      <Blocks tokens={item.tokens} />
    </li>
  ));
  return list.ordered ? <ol start={list.start || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Block({ token }: { token: Token }) {
  if (token.type === "code") return <CodeBlock code={token.text} language={token.lang ?? ""} />;
  if (token.type === "list") return <ListBlock list={token as Tokens.List} />;
  return <HtmlBlock token={token} />;
}

const Blocks = ({ tokens }: { tokens: Token[] }) => (
  <>
    {tokens
      .filter((t) => !["space", "def", "checkbox"].includes(t.type))
      .map((token, i) => (
        <Block key={`${i}-${token.type}`} token={token} />
      ))}
  </>
);

export function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => parseBlocks(text), [text]);
  return (
    <div class="prose">
      <Blocks tokens={tokens} />
    </div>
  );
}
