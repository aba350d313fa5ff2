import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

// A modal dialog: the browser keeps the focus in it, closes it with Esc, and gives the focus back.
export function Dialog({ title, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current!;
    shown.showModal();
    return () => shown.close();
  }, []);
  return (
    <dialog ref={dialog} aria-label={title} onClose={() => dialog.current && onClose()}>
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}
