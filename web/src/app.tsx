import { useEffect, useRef, useState } from "preact/hooks";
import { ArenaView } from "./arena/arena_view";
import { ChatView } from "./chat/chat_view";
import { ConversationList } from "./chat/conversation_list";
import { storageFailure } from "./chat/conversations";
import { fill, useWords } from "./i18n";
import { keyWanted, reachable } from "./lib/api";
import { addressOf, parts, place, type Place } from "./lib/place";
import { useStore } from "./lib/store";
import { Icon } from "./parts/icon";
import { IconButton } from "./parts/icon_button";
import { KeyDialog } from "./parts/key_dialog";
import { Logo } from "./parts/logo";
import { lazy } from "./parts/lazy";
import { PreferenceRow } from "./parts/preference_row";
import { ReportsView } from "./reports/reports_view";

// The charts' library is only read by those who look at them.
const StatusView = lazy(() => import("./status/status_view"));

function Banners() {
  const words = useWords();
  const isReachable = useStore(reachable);
  const failure = useStore(storageFailure);
  return (
    <div class="banners" role="status">
      {!isReachable && <p>{words.unreachable}</p>}
      {failure && (
        <p>{failure === "quota" ? words.quota : fill(words.storageFailed, { reason: failure })}</p>
      )}
    </div>
  );
}

// Where it covers the page, it takes the focus, and Esc closes it.
function Sidebar({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const words = useWords();
  const here = useStore(place);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isOpen) box.current!.querySelector<HTMLElement>("nav a")!.focus();
  }, [isOpen]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && isOpen) onClose();
  };
  return (
    <div class="sidebar" ref={box} onKeyDown={onKeyDown}>
      <div class="brand">
        <Logo />
        <span>Tandem</span>
        <IconButton icon="close" label={words.close} onClick={onClose} class="only-narrow" />
      </div>
      <nav aria-label={words.navigation}>
        {parts.map((part) => (
          <a href={addressOf(part)} aria-current={here.part === part ? "page" : undefined}>
            <Icon name={part} />
            {words[part]}
          </a>
        ))}
      </nav>
      <ConversationList />
      <PreferenceRow />
    </div>
  );
}

function View({ here }: { here: Place }) {
  if (here.part === "arena") return <ArenaView />;
  if (here.part === "reports") return <ReportsView />;
  return here.part === "status" ? <StatusView /> : <ChatView id={here.id} />;
}

export function App() {
  const words = useWords();
  const here = useStore(place);
  const asksKey = useStore(keyWanted);
  const [isOpen, setOpen] = useState(false); // the sidebar, where it has no room of its own
  useEffect(() => setOpen(false), [here]);
  useEffect(() => {
    document.title = `${words[here.part]} · Tandem`;
  }, [here.part, words]);
  return (
    <div class={`frame ${isOpen ? "is-open" : ""}`}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        {words.skip}
      </a>
      <Sidebar isOpen={isOpen} onClose={() => setOpen(false)} />
      <div class="shade" onClick={() => setOpen(false)} />
      <main id="main" tabIndex={-1}>
        <Banners />
        <div class="topbar only-narrow">
          <IconButton icon="menu" label={words.menu} onClick={() => setOpen(true)} />
          <Logo />
          <strong>{words[here.part]}</strong>
        </div>
        <View here={here} />
      </main>
      {asksKey && <KeyDialog />}
    </div>
  );
}
