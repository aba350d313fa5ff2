// Enter sends; Shift+Enter, and Enter that ends a word of an input method, do not. Safari tells of
// the latter by the key code only.
export const isSendKey = (event: KeyboardEvent): boolean =>
  event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
