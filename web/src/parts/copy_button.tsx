import { useState } from "preact/hooks";
import { useWords } from "../i18n";
import { IconButton } from "./icon_button";

// The clipboard's interface is there on https and localhost only.
async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function CopyButton({ text }: { text: string }) {
  const words = useWords();
  const [done, setDone] = useState(false);
  const onClick = async () => {
    await copy(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <IconButton
      icon={done ? "check" : "copy"}
      label={done ? words.copied : words.copy}
      onClick={onClick}
      class="copy"
    />
  );
}
