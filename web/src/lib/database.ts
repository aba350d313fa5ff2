// Records kept in the browser (IndexedDB), by id.
const NAME = "tandem";
const STORES = ["conversations", "battles"] as const;
export type Collection = (typeof STORES)[number];

let opening: Promise<IDBDatabase> | undefined;
// Tells the other tabs which collection was changed.
const changes = new BroadcastChannel(NAME);

function open(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const ask = indexedDB.open(NAME, 1);
    ask.onupgradeneeded = () => {
      for (const store of STORES) ask.result.createObjectStore(store, { keyPath: "id" });
    };
    ask.onsuccess = () => resolve(ask.result);
    ask.onerror = () => reject(ask.error);
  });
  return opening;
}

async function transact<T>(
  collection: Collection,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(collection, mode);
    const ask = work(transaction.objectStore(collection));
    transaction.oncomplete = () => resolve(ask.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? ask.error);
  });
}

async function alter(
  collection: Collection,
  work: (store: IDBObjectStore) => IDBRequest,
): Promise<void> {
  await transact(collection, "readwrite", work);
  changes.postMessage(collection);
}

// When another tab changed the collection and this one is looked at, or is looked at again.
export function onForeignChange(collection: Collection, listener: () => void): void {
  const listen = () => {
    if (!document.hidden) listener();
  };
  changes.addEventListener("message", (event) => {
    if (event.data === collection) listen();
  });
  document.addEventListener("visibilitychange", listen);
}

export const readAll = <T>(collection: Collection): Promise<T[]> =>
  transact(collection, "readonly", (store) => store.getAll() as IDBRequest<T[]>);
export const write = (collection: Collection, record: { id: string }): Promise<void> =>
  alter(collection, (store) => store.put(record));
export const remove = (collection: Collection, id: string): Promise<void> =>
  alter(collection, (store) => store.delete(id));
export const removeAll = (collection: Collection): Promise<void> =>
  alter(collection, (store) => store.clear());
