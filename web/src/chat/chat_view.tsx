import { useEffect, useState } from "preact/hooks";
import { useWords } from "../i18n";
import { lastModel, lastSampling } from "../lib/preferences";
import { models } from "../lib/api";
import { go } from "../lib/place";
import { useStore } from "../lib/store";
import { IconButton } from "../parts/icon_button";
import { ModelSelect } from "../parts/model_select";
import { useEscape } from "../parts/use_escape";
import { ask, running, stop } from "./answer";
import { ChatSettings } from "./chat_settings";
import { Composer } from "../parts/composer";
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

export function ChatView({ id }: { id: string }) {
  const words = useWords();
  const [conversation, setConversation] = useConversation(id);
  const [text, setText] = useState("");
  const [hasSettings, setSettings] = useState(false);
  const state = useStore(running)[conversation.id];
  const messages = shown(conversation);
  const last = messages.at(-1)?.id ?? ROOT;
  useEscape(() => stop(conversation.id));
  const send = (prompt: string) => {
    put(conversation);
    if (conversation.id !== id) go("chat", conversation.id);
    void ask(conversation.id, last, prompt.trim());
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
          <ContextMeter
            key={conversation.id}
            model={conversation.model}
            messages={next}
            isPaused={state !== undefined}
          />
          <IconButton
            icon="settings"
            label={words.settings}
            pressed={hasSettings}
            onClick={() => setSettings(!hasSettings)}
          />
        </header>
        {messages.length > 0 ? (
          <MessageList conversation={conversation} messages={messages} running={state} />
        ) : (
          <Welcome model={conversation.model} onPick={send} />
        )}
        <div class="composer-place">
          <Composer
            text={text}
            onText={setText}
            onSend={() => send(text)}
            onStop={() => stop(conversation.id)}
            isBusy={state !== undefined}
            isDisabled={!conversation.model}
            placeholder={words.placeholder}
          />
        </div>
      </section>
      {hasSettings && (
        <ChatSettings
          system={conversation.system}
          sampling={conversation.sampling}
          onChange={(fields) => setConversation({ ...conversation, ...fields })}
          onClose={() => setSettings(false)}
        />
      )}
    </div>
  );
}
