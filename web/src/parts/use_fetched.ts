import { useEffect, useState } from "preact/hooks";
import { toFailure, type Failure } from "../lib/answer_stream";
import { keyWanted } from "../lib/api";
import { useStore } from "../lib/store";

export interface Fetched<T> {
  value?: T;
  failure?: Failure;
  again: () => void;
}

// What `get` brings; anew when `key` changes, or when the person has entered the API key.
export function useFetched<T>(get: () => Promise<T>, key: string): Fetched<T> {
  const [state, setState] = useState<{ value?: T; failure?: Failure }>({});
  const [tries, setTries] = useState(0);
  const lacksKey = useStore(keyWanted);
  useEffect(() => {
    let isCurrent = true;
    setState({});
    if (!lacksKey)
      get().then(
        (value) => isCurrent && setState({ value }),
        (error) => isCurrent && setState({ failure: toFailure(error) }),
      );
    return () => {
      isCurrent = false;
    };
  }, [key, tries, lacksKey]);
  return { ...state, again: () => setTries(tries + 1) };
}
