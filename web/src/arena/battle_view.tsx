import { useWords, type Words } from "../i18n";
import { FailureNote } from "../parts/failure_note";
import { Figures } from "../parts/figures";
import { Markdown } from "../parts/markdown";
import { isHidden, labelOf, sides, textOf, type Battle, type Side, type Turn } from "./battle";

function nameOf(battle: Battle, side: Side, words: Words): string {
  const answer = side === 0 ? words.answerA : words.answerB;
  return isHidden(battle) ? answer : `${answer} · ${labelOf(battle.contestants[side])}`;
}

function AnswerCard({ battle, turn, side }: { battle: Battle; turn: Turn; side: Side }) {
  const words = useWords();
  const answer = turn.answers[side],
    progress = turn.progress[side] ?? undefined;
  const text = textOf(battle, turn, side);
  const isComing = isHidden(battle) ? turn.progress.some((p) => p !== null) : progress !== undefined;
  const name = nameOf(battle, side, words);
  const isWinner = battle.choice === (side === 0 ? "a" : "b");
  return (
    <article
      class={`answer-card side-${side} ${isWinner ? "is-winner" : ""}`}
      aria-label={name}
      aria-busy={isComing}
    >
      <header>{name}</header>
      {isComing && !text && <p class="waiting">{words.waiting}</p>}
      <Markdown text={text} />
      {answer.failure && <FailureNote failure={answer.failure} />}
      {!isHidden(battle) && (
        <footer>
          <Figures answer={answer} progress={progress} />
        </footer>
      )}
    </article>
  );
}

export const BattleView = ({ battle }: { battle: Battle }) => (
  <>
    {battle.turns.map((turn, i) => (
      <section key={i} class="turn">
        <div class="question">
          <p>{turn.prompt}</p>
        </div>
        <div class="pair">
          {sides.map((side) => (
            <AnswerCard battle={battle} turn={turn} side={side} />
          ))}
        </div>
      </section>
    ))}
  </>
);
