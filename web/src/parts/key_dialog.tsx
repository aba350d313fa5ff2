import { useState } from "preact/hooks";
import { useWords } from "../i18n";
import { ApiError, keyWanted, refreshModels } from "../lib/api";
import { apiKey, isKeyRemembered, keepKey } from "../lib/preferences";
import { Dialog } from "./dialog";

// Asks for the key that the server wants.
export function KeyDialog() {
  const words = useWords();
  const [key, setKey] = useState(apiKey.get());
  const [isRemembered, setRemembered] = useState(isKeyRemembered);
  const [isWrong, setWrong] = useState(false);
  const save = async (event: Event) => {
    event.preventDefault();
    keepKey(key.trim(), isRemembered);
    try {
      await refreshModels();
    } catch (error) {
      setWrong(error instanceof ApiError && error.status === 401);
    }
  };
  return (
    <Dialog title={words.keyTitle} onClose={() => keyWanted.set(false)}>
      <p>{words.keyWanted}</p>
      <form onSubmit={save}>
        <input
          type="password"
          aria-label={words.keyTitle}
          autocomplete="off"
          autoFocus
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <label class="row">
          <input
            type="checkbox"
            checked={isRemembered}
            onChange={(event) => setRemembered(event.currentTarget.checked)}
          />
          {words.keyRemember}
        </label>
        {isWrong && (
          <p class="note error" role="alert">
            {words.keyWrong}
          </p>
        )}
        <div class="row end">
          <button type="button" onClick={() => keyWanted.set(false)}>
            {words.cancel}
          </button>
          <button type="submit" class="primary" disabled={!key.trim()}>
            {words.save}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
