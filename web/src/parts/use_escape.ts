import { useLayoutEffect } from "preact/hooks";

// Esc anywhere on the page, unless a dialog or menu takes it.
export function useEscape(work: () => void): void {
  // At once, not when the screen was drawn: an answer may come, and be stopped, before that.
  useLayoutEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) work();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  });
}
