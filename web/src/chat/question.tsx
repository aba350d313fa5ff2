import { useState } from "preact/hooks";
import { useWords } from "../i18n";
import { CopyButton } from "../parts/copy_button";
import { IconButton } from "../parts/icon_button";
import { isSendKey } from "../parts/keys";
import { ask } from "./answer";
import { Branches } from "./branches";
import type { Conversation, Message } from "./tree";

interface Props {
  conversation: Conversation;
  message: Message;
  isBusy: boolean;
}

function Editor({ message, onDone }: { message: Message; onDone: (text: string | null) => void }) {
  const words = useWords();
  const [text, setText] = useState(message.text);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onDone(null);
    else if (isSendKey(event)) onDone(text);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        onDone(text);
      }}
    >
      <textarea
        aria-label={words.edit}
        value={text}
        autoFocus
        rows={Math.min(12, text.split("\n").length + 1)}
        onKeyDown={onKeyDown}
        onInput={(event) => setText(event.currentTarget.value)}
        ref={(area) => {
          if (area && document.activeElement !== area) area.focus();
        }}
      />
      <div class="row end">
        <button type="button" onClick={() => onDone(null)}>
          {words.cancel}
        </button>
        <button type="submit" class="primary" disabled={!text.trim()}>
          {words.send}
        </button>
      </div>
    </form>
  );
}

export function Question({ conversation, message, isBusy }: Props) {
  const words = useWords();
  const [isEdited, setEdited] = useState(false);
  const finish = (text: string | null) => {
    setEdited(false);
    if (text?.trim()) void ask(conversation.id, message.parent!, text.trim());
  };
  return (
    <article class="message question" aria-label={words.you}>
      {isEdited ? <Editor message={message} onDone={finish} /> : <p>{message.text}</p>}
      {!isEdited && (
        <footer>
          <Branches conversation={conversation} message={message} isDisabled={isBusy} />
          <CopyButton text={message.text} />
          <IconButton
            icon="edit"
            label={words.edit}
            disabled={isBusy}
            onClick={() => setEdited(true)}
          />
        </footer>
      )}
    </article>
  );
}
