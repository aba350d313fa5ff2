// Records kept in the browser (IndexedDB), by id.
const NAME = "tandem";
const STORES = ["conversations", "battles"] as const;
export type Collection = (typeof STORES)[number];

let opening: Promise<IDBDatabase> | undefined;

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

export const readAll = <T>(collection: Collection): Promise<T[]> =>
  transact(collection, "readonly", (store) => store.getAll() as IDBRequest<T[]>);
export const write = (collection: Collection, record: { id: string }): Promise<unknown> =>
  transact(collection, "readwrite", (store) => store.put(record));
export const remove = (collection: Collection, id: string): Promise<unknown> =>
  transact(collection, "readwrite", (store) => store.delete(id));
export const removeAll = (collection: Collection): Promise<unknown> =>
  transact(collection, "readwrite", (store) => store.clear());
