import { fill, useWords } from "../i18n";
import { models } from "../lib/api";
import { useStore } from "../lib/store";
import { CopyButton } from "../parts/copy_button";
import { FailureNote } from "../parts/failure_note";
import { IconButton } from "../parts/icon_button";
import { Markdown } from "../parts/markdown";
import type { Progress } from "../lib/answer_stream";
import { Figures } from "../parts/figures";
import { answer } from "./answer";
import { Branches } from "./branches";
import type { Conversation, Message } from "./tree";

interface Props {
  conversation: Conversation;
  message: Message;
  progress?: Progress; // while this answer comes
  isBusy: boolean;
}

export function Reply({ conversation, message, progress, isBusy }: Props) {
  const words = useWords();
  const isLoaded = useStore(models).some((model) => model.id === message.model && model.loaded);
  const again = () => void answer(conversation.id, message.parent!);
  return (
    <article
      class="message reply"
      aria-label={fill(words.answerOf, { model: message.model ?? "" })}
      aria-busy={progress !== undefined}
    >
      <header>{message.model}</header>
      {progress && !message.text && (
        <p class="waiting">{isLoaded ? words.waiting : words.loadingModel}</p>
      )}
      <Markdown text={message.text} />
      {message.failure && (
        <FailureNote failure={message.failure} onRetry={isBusy ? undefined : again} />
      )}
      <footer>
        <Branches conversation={conversation} message={message} isDisabled={isBusy} />
        {!progress && message.text && <CopyButton text={message.text} />}
        {!progress && (
          <IconButton icon="again" label={words.regenerate} disabled={isBusy} onClick={again} />
        )}
        <Figures answer={message} progress={progress} />
      </footer>
    </article>
  );
}
