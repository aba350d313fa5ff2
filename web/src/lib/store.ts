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

// A store whose value stays in the browser's localStorage. A full or forbidden storage costs
// only the memory of the choice. `check` repairs what an older page, or a person, left there.
export function createStoredStore<T>(key: string, initial: T, check?: (value: T) => T): Store<T> {
  let value = initial;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) value = check ? check(JSON.parse(text)) : JSON.parse(text);
  } catch {
    value = initial;
  }
  const store = createStore(value);
  store.subscribe((next) => {
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // See above.
    }
  });
  return store;
}
