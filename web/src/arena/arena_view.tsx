import { useEffect, useState } from "preact/hooks";
import { useWords } from "../i18n";
import { models } from "../lib/api";
import { useStore } from "../lib/store";
import { Composer } from "../parts/composer";
import { useEscape } from "../parts/use_escape";
import { ArenaSetup } from "./arena_setup";
import { ask, battle, chosen, differ, isBusy, setup, stop } from "./battle";
import { BattleView } from "./battle_view";
import { TallyView } from "./tally_view";
import { VoteBar } from "./vote_bar";
import { keepVotes } from "./votes";

export function ArenaView() {
  const words = useWords();
  const now = useStore(battle);
  const list = useStore(models);
  const contestants = chosen(useStore(setup));
  const [text, setText] = useState("");
  useEscape(stop);
  useEffect(() => {
    keepVotes().catch(() => {}); // no storage: the chat's banner says so
  }, []);
  const send = () => {
    void ask(text.trim());
    setText("");
  };
  return (
    <div class="arena">
      <div class="page">
        {now ? <BattleView battle={now} /> : <ArenaSetup />}
        {(!now || now.choice) && <TallyView />}
      </div>
      <div class="composer-place">
        {now && <VoteBar battle={now} />}
        <Composer
          text={text}
          onText={setText}
          onSend={send}
          onStop={stop}
          isBusy={isBusy(now)}
          isDisabled={list.length === 0 || !differ(contestants)}
          placeholder={words.arenaPlaceholder}
        />
      </div>
    </div>
  );
}
