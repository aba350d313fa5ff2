import { useState } from "preact/hooks";
import { fill, useWords, type Words } from "../i18n";
import type { Item, ItemAnswer, Report } from "./runs";
import { dimensionName } from "./scores";

type Filter = "all" | "differ" | "a" | "b" | "neither";

const isRight = (answer: ItemAnswer | null): boolean => answer?.verdict.verdict === "pass";

function fits(item: Item, filter: Filter): boolean {
  const a = isRight(item.a),
    b = isRight(item.b);
  return { all: true, differ: a !== b, a: a && !b, b: b && !a, neither: !a && !b }[filter];
}

const mark = (answer: ItemAnswer | null): string => (answer ? (isRight(answer) ? "✓" : "✗") : "–");

function AnswerBox({
  name,
  side,
  answer,
  words,
}: {
  name: string;
  side: "a" | "b";
  answer: ItemAnswer | null;
  words: Words;
}) {
  return (
    <div class={`item-answer ${isRight(answer) ? "is-right" : ""}`}>
      <h4 class={`name-${side}`}>
        {name}{" "}
        <span>{answer ? (isRight(answer) ? words.right : words.wrong) : words.notAsked}</span>
      </h4>
      {answer && <pre tabIndex={0}>{answer.text}</pre>}
      {answer?.verdict.reason && <p class="hint">{answer.verdict.reason}</p>}
    </div>
  );
}

function ItemRow({ item, report }: { item: Item; report: Report }) {
  const words = useWords();
  const { a, b } = report.models;
  return (
    <details class="item">
      <summary>
        <span class="marks">
          <b class="name-a">{mark(item.a)}</b>
          <b class="name-b">{mark(item.b)}</b>
        </span>
        <span class="item-prompt">{item.prompt}</span>
        <span class="hint">{dimensionName(item.dimension, words)}</span>
      </summary>
      <pre class="item-question">{item.prompt}</pre>
      {item.reference && (
        <p class="hint">
          {words.reference}: {item.reference}
        </p>
      )}
      <div class="pair">
        <AnswerBox name={a.name} side="a" answer={item.a} words={words} />
        <AnswerBox name={b.name} side="b" answer={item.b} words={words} />
      </div>
    </details>
  );
}

export function ItemList({ report }: { report: Report }) {
  const words = useWords();
  const [filter, setFilter] = useState<Filter>("all");
  const names: Record<Filter, string> = {
    all: words.allItems,
    differ: words.onlyDifferent,
    a: fill(words.onlyRight, { name: report.models.a.name }),
    b: fill(words.onlyRight, { name: report.models.b.name }),
    neither: words.neitherRight,
  };
  const items = report.items.filter((item) => fits(item, filter));
  return (
    <section>
      <div class="row spread">
        <h2>
          {words.answers}{" "}
          <span class="hint">
            {items.length} / {report.items.length}
          </span>
        </h2>
        <select
          class="filter"
          aria-label={words.filter}
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value as Filter)}
        >
          {Object.entries(names).map(([value, name]) => (
            <option value={value}>{name}</option>
          ))}
        </select>
      </div>
      <div class="card items">
        {items.map((item) => (
          <ItemRow key={item.id} item={item} report={report} />
        ))}
      </div>
    </section>
  );
}
