import { useState } from "preact/hooks";
import { fill, useWords } from "../i18n";
import { saveFile } from "../lib/files";
import { percent } from "../lib/format";
import { useStore } from "../lib/store";
import { Dialog } from "../parts/dialog";
import { clearVotes, tallies, toCsv, toJson, votes, type Tally } from "./votes";

function TallyRow({ tally }: { tally: Tally }) {
  const words = useWords();
  const { names, wins, ties, bad, n, share } = tally;
  const parts = [wins[0], ties + bad, wins[1]];
  return (
    <li>
      <div class="tally-names">
        <span class="name-a">
          {names[0]} <b>{wins[0]}</b>
        </span>
        <span class="hint">
          {words.ties} {ties} · {words.bothBad} {bad}
        </span>
        <span class="name-b">
          <b>{wins[1]}</b> {names[1]}
        </span>
      </div>
      <div class="tally-bar" aria-hidden="true">
        {parts.map((part, i) => (
          <span class={`part-${i}`} style={{ flexGrow: part }} />
        ))}
      </div>
      <p class="hint">
        {fill(words.tallyVotes, { n })} ·{" "}
        {share
          ? fill(words.tallyShare, {
              name: names[0],
              share: percent(share.value),
              n: tally.decided,
              low: percent(share.low),
              high: percent(share.high),
            })
          : words.tallyUndecided}
      </p>
    </li>
  );
}

export function TallyView() {
  const words = useWords();
  const list = useStore(votes);
  const [isAsked, setAsked] = useState(false);
  const clear = () => {
    void clearVotes();
    setAsked(false);
  };
  return (
    <section class="tally" aria-label={words.tally}>
      <h2>{words.tally}</h2>
      {list.length === 0 && <p class="hint">{words.tallyEmpty}</p>}
      <ul>
        {tallies(list).map((tally) => (
          <TallyRow key={tally.names.join("\n")} tally={tally} />
        ))}
      </ul>
      {list.length > 0 && (
        <div class="row">
          <button
            type="button"
            onClick={() => saveFile("tandem-votes.csv", "text/csv", toCsv(list))}
          >
            {words.exportCsv}
          </button>
          <button
            type="button"
            onClick={() => saveFile("tandem-votes.json", "application/json", toJson(list))}
          >
            {words.exportJson}
          </button>
          <button type="button" class="danger" onClick={() => setAsked(true)}>
            {words.clearVotes}
          </button>
        </div>
      )}
      {isAsked && (
        <Dialog title={words.clearVotesSure} onClose={() => setAsked(false)}>
          <div class="row end">
            <button type="button" onClick={() => setAsked(false)}>
              {words.cancel}
            </button>
            <button type="button" class="danger" onClick={clear}>
              {words.remove}
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );
}
