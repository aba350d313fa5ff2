import { useEffect, useState } from "preact/hooks";
import { useWords } from "../i18n";
import { lastModel, lastSampling } from "../lib/preferences";
import { models } from "../lib/api";
import { go } from "../lib/place";
import { useStore } from "../lib/store";
import { IconButton } from "../parts/icon_button";
import { ModelSelect } from "../parts/model_select";
import { ask, running, stop } from "./answer";
import { ChatSettings } from "./chat_settings";
import { Composer } from "./composer";
import { ContextMeter } from "./context_meter";
import { conversations, put } from "./conversations";
import { MessageList } from "./message_list";
import { newConversation, ROOT, shown, toSend, type Conversation } from "./tree";
import { Welcome } from "./welcome";

// The conversation of that id, or one that begins with the first message.
function useConversation(id: string): [Conversation, (c: Conversation) => void] {
  const stored = useStore(conversations)[id];
  const list = useStore(models);
  const first = list.find((m) => m.id === lastModel.get()) ?? list[0];
  const [draft, setDraft] = useState(() => newConversation("", "", lastSampling.get()));
  useEffect(() => {
    if (!stored) setDraft(newConversation(first?.id ?? "", "", lastSampling.get()));
  }, [stored === undefined, id]);
  const current = stored ?? { ...draft, model: draft.model || (first?.id ?? "") };
  return [current, stored ? put : setDraft];
}

function useStopKey(id: string): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape") stop(id);
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [id]);
}

export function ChatView({ id }: { id: string }) {
  const words = useWords();
  const [conversation, setConversation] = useConversation(id);
  const [text, setText] = useState("");
  const [hasSettings, setSettings] = useState(false);
  const progress = useStore(running)[conversation.id];
  const messages = shown(conversation);
  const last = messages.at(-1)?.id ?? ROOT;
  useStopKey(conversation.id);
  const send = (words: string) => {
    put(conversation);
    if (conversation.id !== id) go("chat", conversation.id);
    void ask(conversation.id, last, words.trim());
    setText("");
  };
  const setModel = (model: string) => {
    lastModel.set(model);
    setConversation({ ...conversation, model });
  };
  const next = toSend(conversation, last);
  if (text.trim()) next.push({ role: "user", content: text });
  return (
    <div class="chat">
      <section class="chat-main" aria-label={words.chat}>
        <header class="bar">
          <ModelSelect label={words.model} value={conversation.model} onChange={setModel} />
          <ContextMeter model={conversation.model} messages={progress ? [] : next} />
          <IconButton icon="settings" label={words.settings} pressed={hasSettings}
            onClick={() => setSettings(!hasSettings)} />
        </header>
        {messages.length > 0
          ? <MessageList conversation={conversation} messages={messages} progress={progress} />
          : <Welcome model={conversation.model} onPick={send} />}
        <div class="composer-place">
          <Composer text={text} onText={setText} onSend={() => send(text)}
            onStop={() => stop(conversation.id)} isBusy={progress !== undefined}
            isDisabled={!conversation.model} placeholder={words.placeholder} />
        </div>
      </section>
      {hasSettings && (
        <ChatSettings system={conversation.system} sampling={conversation.sampling}
          onChange={(fields) => setConversation({ ...conversation, ...fields })}
          onClose={() => setSettings(false)} />
      )}
    </div>
  );
}
