import { useWords } from "../i18n";
import { isReady, isVoid, newRound, vote, type Battle } from "./battle";
import { choices } from "./votes";

export function VoteBar({ battle }: { battle: Battle }) {
  const words = useWords();
  const names = { a: words.voteA, b: words.voteB, tie: words.voteTie, bad: words.voteBad };
  return (
    <div class="vote-bar" role="group" aria-label={words.vote}>
      <span class="only-heard" role="status">
        {isReady(battle) && words.vote}
      </span>
      {isReady(battle) &&
        choices.map((choice) => (
          <button type="button" class={`vote-${choice}`} onClick={() => void vote(choice)}>
            {names[choice]}
          </button>
        ))}
      {(battle.choice || isVoid(battle)) && (
        <>
          <span role="status">
            {battle.choice ? (
              <>
                {words.voted}: <strong>{names[battle.choice]}</strong>
              </>
            ) : (
              words.roundFailed
            )}
          </span>
          <button type="button" class="primary" onClick={newRound}>
            {words.newRound}
          </button>
        </>
      )}
    </div>
  );
}
