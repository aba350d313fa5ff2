// Keeps trying while the server cannot be reached.
import { ApiError, reachable, refreshModels } from "./api";

const LONGEST_WAIT = 15000;
let timer = 0;

function retry(wait: number): void {
  timer = window.setTimeout(async () => {
    try {
      await refreshModels();
      timer = 0;
    } catch (error) {
      const lost = error instanceof ApiError && error.status === 0;
      timer = 0;
      if (lost) retry(Math.min(wait * 1.5, LONGEST_WAIT));
    }
  }, wait);
}

export function keepConnected(): void {
  reachable.subscribe((ok) => {
    if (!ok && !timer) retry(1000);
  });
  refreshModels().catch(() => {}); // shown by the stores that it sets
}
