import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

const arrived = new Map<unknown, ComponentType>();

// A component whose code is read when it is first shown.
export function lazy(read: () => Promise<{ default: ComponentType }>): ComponentType {
  return function Lazy() {
    const [, setHere] = useState(arrived.has(read));
    const Component = arrived.get(read);
    useEffect(() => {
      if (!arrived.has(read))
        void read().then((module) => {
          arrived.set(read, module.default);
          setHere(true);
        });
    }, []);
    return Component ? <Component /> : null;
  };
}
