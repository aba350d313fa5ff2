// What a person chose, kept in the browser.
import { createStore, createStoredStore, readStored, writeStored } from "./store";

export type Language = "en" | "zh";
export type Theme = "system" | "light" | "dark";

// Of a request; what is null is left to the model's own defaults.
export interface Sampling {
  temperature: number | null;
  top_p: number | null;
  top_k: number | null;
  min_p: number | null;
  repetition_penalty: number | null;
  max_tokens: number | null;
  seed: number | null;
}

export const noSampling: Sampling = {
  temperature: null,
  top_p: null,
  top_k: null,
  min_p: null,
  repetition_penalty: null,
  max_tokens: null,
  seed: null,
};

const oneOf =
  <T extends string>(values: readonly T[], fallback: T) =>
  (value: T) =>
    values.includes(value) ? value : fallback;

const browserLanguage: Language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
export const language = createStoredStore<Language>(
  "tandem.language",
  browserLanguage,
  oneOf(["en", "zh"], browserLanguage),
);
export const theme = createStoredStore<Theme>(
  "tandem.theme",
  "system",
  oneOf(["system", "light", "dark"], "system"),
);

// The API key stays until the tab is closed; on this device only where that is wanted.
const KEY = "tandem.key";
const remembered = readStored<string>("localStorage", KEY);
export const isKeyRemembered = (): boolean => readStored("localStorage", KEY) !== undefined;
export const apiKey = createStore<string>(
  String(remembered ?? readStored<string>("sessionStorage", KEY) ?? ""),
);
export function keepKey(key: string, isRemembered: boolean): void {
  apiKey.set(key);
  writeStored("localStorage", KEY, isRemembered && key ? key : undefined);
  writeStored("sessionStorage", KEY, isRemembered || !key ? undefined : key);
}

export const lastModel = createStoredStore<string>("tandem.model", "", String);
export const lastSampling = createStoredStore<Sampling>("tandem.sampling", noSampling, (value) => ({
  ...noSampling,
  ...value,
}));

// The theme in use, on the root element for the style sheets.
export function applyPreferences(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const root = document.documentElement;
    root.lang = language.get() === "zh" ? "zh-CN" : "en";
    const chosen = theme.get();
    root.dataset.theme = chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
  };
  language.subscribe(apply);
  theme.subscribe(apply);
  dark.addEventListener("change", apply);
  apply();
}
