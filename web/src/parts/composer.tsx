import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { useWords } from "../i18n";
import { IconButton } from "./icon_button";
import { isSendKey } from "./keys";

interface Props {
  text: string;
  onText: (text: string) => void;
  onSend: () => void;
  onStop: () => void;
  isBusy: boolean;
  isDisabled?: boolean;
  placeholder: string;
  children?: ComponentChildren; // beside the button
}

// Where prompts are written.
export function Composer(props: Props) {
  const words = useWords();
  const area = useRef<HTMLTextAreaElement>(null);
  const canSend = props.text.trim() !== "" && !props.isBusy && !props.isDisabled;
  useLayoutEffect(() => {
    const box = area.current!;
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, innerHeight * 0.4)}px`;
  }, [props.text]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isSendKey(event)) return;
    event.preventDefault();
    if (canSend) props.onSend();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (canSend) props.onSend();
      }}
    >
      <textarea
        ref={area}
        rows={1}
        aria-label={words.message}
        title={words.sendHint}
        placeholder={props.placeholder}
        value={props.text}
        onKeyDown={onKeyDown}
        onInput={(event) => props.onText(event.currentTarget.value)}
      />
      <div class="composer-row">
        {props.children}
        {props.isBusy ? (
          <IconButton icon="stop" label={words.stop} onClick={props.onStop} class="primary" />
        ) : (
          <IconButton
            icon="send"
            label={words.send}
            onClick={props.onSend}
            disabled={!canSend}
            class="primary"
          />
        )}
      </div>
    </form>
  );
}
