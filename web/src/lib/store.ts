// A value that components follow.
import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(value: T): void;
  update(change: (value: T) => T): void;
  subscribe(listener: (value: T) => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let current = initial;
  const listeners = new Set<(value: T) => void>();
  const set = (value: T) => {
    if (Object.is(value, current)) return;
    current = value;
    for (const listener of [...listeners]) listener(value);
  };
  return {
    get: () => current,
    set,
    update: (change) => set(change(current)),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(() => store.get());
  useEffect(() => {
    setValue(() => store.get()); // it may have changed before the subscription
    return store.subscribe((next) => setValue(() => next));
  }, [store]);
  return value;
}

// localStorage: for good; sessionStorage: until the tab is closed.
type StorageName = "localStorage" | "sessionStorage";

// undefined: there is none, or the browser has no such storage.
export function readStored<T>(storage: StorageName, key: string): T | undefined {
  try {
    const text = window[storage].getItem(key);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}

// undefined removes. A full or forbidden storage costs only the memory of the choice.
export function writeStored(storage: StorageName, key: string, value: unknown): void {
  try {
    if (value === undefined) window[storage].removeItem(key);
    else window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // See above.
  }
}

// A store whose value stays in the browser's localStorage. `check` repairs what an older page, or
// a person, left there.
export function createStoredStore<T>(key: string, initial: T, check?: (value: T) => T): Store<T> {
  let value = readStored<T>("localStorage", key) ?? initial;
  try {
    if (check) value = check(value);
  } catch {
    value = initial;
  }
  const store = createStore(value);
  store.subscribe((next) => writeStored("localStorage", key, next));
  return store;
}
