import { useEffect } from "preact/hooks";

// Esc anywhere on the page, unless a dialog or menu has taken it.
export function useEscape(work: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape") work();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  });
}
