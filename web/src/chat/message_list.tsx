import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Running } from "./answer";
import { useWords } from "../i18n";
import { IconButton } from "../parts/icon_button";
import { Question } from "./question";
import { Reply } from "./reply";
import type { Conversation, Message } from "./tree";

const NEAR_END = 80; // pixels

interface Props {
  conversation: Conversation;
  messages: Message[];
  running?: Running;
}

// What a screen reader says: the answer as a whole, once it is there, instead of each piece.
function useAnnouncement(messages: Message[], isBusy: boolean): string {
  const [text, setText] = useState("");
  const wasBusy = useRef(isBusy);
  useEffect(() => {
    if (wasBusy.current && !isBusy) setText(messages.at(-1)?.text ?? "");
    wasBusy.current = isBusy;
  }, [isBusy]);
  return text;
}

// Follows the end of the conversation, unless the reader has scrolled away from it.
export function MessageList({ conversation, messages, running }: Props) {
  const words = useWords();
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [isAway, setAway] = useState(false); // what atEnd is not, for the button
  const isBusy = running !== undefined;
  const announcement = useAnnouncement(messages, isBusy);
  useLayoutEffect(() => {
    atEnd.current = true;
    setAway(false);
  }, [conversation.id, isBusy]);
  useLayoutEffect(() => {
    if (atEnd.current) box.current!.scrollTop = box.current!.scrollHeight;
  });
  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END;
    setAway(!atEnd.current);
  };
  const toEnd = () => box.current!.scrollTo({ top: box.current!.scrollHeight });
  return (
    <div class="messages" ref={box} onScroll={onScroll} tabIndex={-1}>
      <div class="column">
        {messages.map((message) =>
          message.role === "user" ? (
            <Question
              key={message.id}
              conversation={conversation}
              message={message}
              isBusy={isBusy}
            />
          ) : (
            <Reply
              key={message.id}
              conversation={conversation}
              message={message}
              isBusy={isBusy}
              progress={running?.message === message.id ? running.progress : undefined}
            />
          ),
        )}
      </div>
      {isAway && <IconButton icon="down" label={words.toEnd} onClick={toEnd} class="to-end" />}
      <div class="only-heard" aria-live="polite">
        {announcement}
      </div>
    </div>
  );
}
