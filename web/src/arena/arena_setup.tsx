import { useWords } from "../i18n";
import { models } from "../lib/api";
import { useStore } from "../lib/store";
import { ContestantSetup } from "./contestant_setup";
import { chosen, differ, setup, sides, type Contestant, type Side } from "./battle";

export function ArenaSetup() {
  const words = useWords();
  const now = useStore(setup);
  const list = useStore(models);
  const contestants = chosen(now);
  const set = (side: Side, contestant: Contestant) =>
    setup.set({
      ...now,
      contestants: side === 0 ? [contestant, contestants[1]] : [contestants[0], contestant],
    });
  return (
    <section class="arena-setup">
      <h1>{words.arena}</h1>
      <p class="hint">{words.arenaIntro}</p>
      <div class="pair">
        {sides.map((side) => (
          <ContestantSetup
            side={side}
            contestant={contestants[side]}
            onChange={(contestant) => set(side, contestant)}
          />
        ))}
      </div>
      <label class="check">
        <input
          type="checkbox"
          role="switch"
          checked={now.blind}
          onChange={(event) => setup.set({ ...now, blind: event.currentTarget.checked })}
        />
        <span>
          <strong>{words.blind}</strong> <span class="hint">{words.blindHint}</span>
        </span>
      </label>
      {list.length === 1 && !differ(contestants) && <p class="note">{words.oneModel}</p>}
      {list.length > 1 && !differ(contestants) && <p class="note">{words.sameModels}</p>}
    </section>
  );
}
