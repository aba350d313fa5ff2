import { fill, useWords } from "../i18n";
import { IconButton } from "../parts/icon_button";
import { update } from "./conversations";
import { choose, siblings, type Conversation, type Message } from "./tree";

interface Props {
  conversation: Conversation;
  message: Message;
  isDisabled: boolean;
}

// < 2/3 >
export function Branches({ conversation, message, isDisabled }: Props) {
  const words = useWords();
  const { index, count } = siblings(conversation, message);
  if (count < 2) return null;
  const show = (to: number) => update(conversation.id, (c) => choose(c, message, to));
  return (
    <span class="branches" role="group" aria-label={fill(words.branch, { n: index + 1, count })}>
      <IconButton
        icon="left"
        label={words.previousBranch}
        disabled={isDisabled || index === 0}
        onClick={() => show(index - 1)}
      />
      <span>
        {index + 1}/{count}
      </span>
      <IconButton
        icon="right"
        label={words.nextBranch}
        disabled={isDisabled || index === count - 1}
        onClick={() => show(index + 1)}
      />
    </span>
  );
}
